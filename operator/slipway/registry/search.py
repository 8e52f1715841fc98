"""Search over versions: the index for what it covers, the records themselves for what is newer."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from slipway.registry.columns import Row, Segment, row_of
from slipway.registry.errors import RegistryError, closest
from slipway.registry.index import Index, Manifest
from slipway.registry.names import ModelName
from slipway.registry.query import matching, ordered, parse, parse_order
from slipway.registry.query.tree import MAPS, And, Compare, Node, Order, fields_of
from slipway.registry.records import Scalar
from slipway.registry.versions import Versions
from slipway.storage.parallel import in_parallel
from slipway.storage.port import ObjectStore

NEWEST = "-created"


@dataclass(frozen=True)
class Hit:
    """A version that was found, with what a list shows of it; `Registry.get` gives its whole record."""

    model: str
    version: int
    digest: str
    created_at: datetime
    format: str
    reason: str
    builder: str
    build_id: str
    metrics: dict[str, float]
    params: dict[str, Scalar]
    tags: dict[str, str]
    size: int
    source_uri: str | None = None
    source_commit: str | None = None

    @property
    def ref(self) -> str:
        """``namespace/model:number``."""
        return f"{self.model}:{self.version}"


@dataclass(frozen=True)
class SearchResult:
    """A page of hits out of `total`. `unindexed` versions were not in the index and were read one by one: when they are
    many, `Registry.update_index` makes the next search quicker. `skipped` records could not be read
    (``namespace/model:number`` each). `unknown`: names of metrics, parameters, tags and packages that the expression asks for
    and no version in the scope has, each with those that look like it."""

    hits: tuple[Hit, ...]
    total: int
    unindexed: int = 0
    skipped: tuple[str, ...] = ()
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """Where to search: among `models` (``namespace/model``), in a namespace, or everywhere."""

    models: frozenset[str] | None = None
    namespace: str | None = None

    def node(self) -> Node:
        """The scope as a part of the query."""
        space = () if self.namespace is None else (Compare("namespace", "=", (self.namespace,)),)
        named = () if self.models is None else (Compare("model", "in", tuple(sorted(self.models))),)
        return And((*space, *named))

    def holds(self, model: str) -> bool:
        """Whether it has that model."""
        return (self.models is None or model in self.models) and (self.namespace in (None, model.partition("/")[0]))


@dataclass(frozen=True)
class Page:
    """Which hits are given: `limit` from `offset` on, in the order of ``field`` or ``-field``."""

    order_by: str
    limit: int
    offset: int


def search(
    store: ObjectStore, index: Index, models: Callable[[], Iterable[ModelName]], expression: str, scope: Scope, page: Page
) -> SearchResult:
    """As `Registry.search`. `models` gives those of the scope."""
    asked = parse(expression)
    node, order = And((scope.node(), asked)), parse_order(page.order_by)
    manifest = index.manifest()
    names = list(models())
    segments, missing = _indexed(index, manifest, scope)
    fresh, skipped, unindexed = _unindexed(store, manifest, names, missing)
    found = [(segment, matching(node, segment.column, segment.rows)) for segment in (fresh, *segments)]
    chosen = _chosen(order, found, page.offset + page.limit)[page.offset :]
    hits = tuple(_hit(segment.row(row)) for segment, row in chosen)
    total = sum(len(rows) for _, rows in found)
    unknown = {} if total else _unknown(fields_of(asked), (fresh, *segments))
    return SearchResult(hits, total, unindexed, tuple(skipped), unknown)


def _unknown(fields: Iterable[str], segments: Sequence[Segment]) -> dict[str, tuple[str, ...]]:
    known = {name for segment in segments for name in segment.fields()}
    free = {name for name in fields if name.partition(".")[0] in MAPS}

    def alike(name: str) -> tuple[str, ...]:
        kind, _, own = name.partition(".")
        there = [one.partition(".")[2] for one in known if one.startswith(f"{kind}.")]
        return tuple(f"{kind}.{one}" for one in closest(own, there))

    return {name: alike(name) for name in sorted(free - known)}


def _indexed(index: Index, manifest: Manifest | None, scope: Scope) -> tuple[list[Segment], list[tuple[str, int, int]]]:
    """The segments that matter, and the ranges (model, first, last) of those that cannot be had."""
    if manifest is None:
        return [], []
    entries = [entry for entry in manifest.segments if any(map(scope.holds, entry.covers))]
    found = index.segments(entries)
    missing = [
        (model, first, last)
        for entry, segment in zip(entries, found, strict=True)
        if segment is None
        for model, (first, last) in entry.covers.items()
        if scope.holds(model)
    ]
    return [segment for segment in found if segment is not None], missing


def _unindexed(
    store: ObjectStore, manifest: Manifest | None, names: Sequence[ModelName], missing: Iterable[tuple[str, int, int]]
) -> tuple[Segment, list[str], int]:
    """The versions that no segment has, as a segment; the names of those that cannot be read; how many were read."""
    covered = manifest.covered if manifest else {}
    wanted: dict[ModelName, set[int]] = {}
    for model, first, last in missing:
        wanted.setdefault(ModelName.parse(model), set()).update(range(first, last + 1))
    known = {str(name) for name in names}
    skipped = [
        f"{model}:{number}"
        for model, numbers in (manifest.skipped if manifest else {}).items()
        if model in known
        for number in numbers
    ]

    def newer(name: ModelName) -> range:
        first = covered.get(str(name), 0)
        return range(first + 1, Versions(store, name).last_from(first) + 1)

    for name, numbers in zip(names, in_parallel(newer, names, 16), strict=True):
        wanted.setdefault(name, set()).update(numbers)
    rows: list[Row] = []
    for name, some in sorted(wanted.items()):
        versions = Versions(store, name)
        for number, data in versions.raw(sorted(some)).items():
            try:
                rows.append(row_of(versions.parse(number, data)))
            except RegistryError:
                skipped.append(f"{name}:{number}")
    return Segment.of(rows), list(dict.fromkeys(skipped)), len(rows)


def _chosen(order: Order, found: Sequence[tuple[Segment, list[int]]], count: int) -> list[tuple[Segment, int]]:
    """The first `count` rows in their order. Equal ones by model, and the highest version first, so that pages do not
    overlap."""
    keys: list[Any] = []
    places: list[tuple[Segment, int]] = []
    for segment, rows in found:
        column = segment.column(order.field)
        keys += [column[row] for row in rows]
    limit = _worst(order, keys, count)
    begin = 0
    for segment, rows in found:
        for key, row in zip(keys[begin : begin + len(rows)], rows, strict=True):
            if limit is None or (key >= limit if order.descending else key <= limit):
                places.append((segment, row))
        begin += len(rows)
    places.sort(key=lambda place: (place[0].column("model")[place[1]], -place[0].column("version")[place[1]]))
    ranked = ordered(order, [segment.column(order.field)[row] for segment, row in places])
    return [places[number] for number in ranked[:count]]


def _worst(order: Order, keys: Sequence[Any], count: int) -> float | None:
    """The key of the last one of the first `count`, where that is quickly told: then only as good ones need sorting."""
    if len(keys) <= 2 * count or not all((type(key) is float or type(key) is int) and key == key for key in keys):
        return None
    best = heapq.nlargest if order.descending else heapq.nsmallest
    worst: float = best(count, keys)[-1]
    return worst


def _hit(row: Row) -> Hit:
    def named(prefix: str) -> dict[str, Any]:
        return {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}

    return Hit(
        model=row["model"],
        version=row["version"],
        digest=row["digest"],
        created_at=datetime.fromtimestamp(row["created"], UTC),
        format=row["format"],
        reason=row["reason"],
        builder=row["builder"],
        build_id=row["build"],
        metrics={key: float(value) for key, value in named("metrics.").items()},
        params=named("params."),
        tags=named("tags."),
        size=row.get("size", 0),
        source_uri=row.get("source.uri"),
        source_commit=row.get("source.commit"),
    )
