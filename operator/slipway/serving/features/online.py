"""The online store behind one model: opened when the model is loaded, looked at every few seconds, asked by requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from slipway.features.definitions import FeatureView
from slipway.features.errors import BadEntity, FeatureError, InvalidRequest, UnknownView
from slipway.features.online.connect import connect
from slipway.features.online.port import OnlineStore, OnlineUnavailable, Reader
from slipway.features.online.reading import OnlineView, Row
from slipway.features.online.state import Target
from slipway.features.views import Views, definition
from slipway.registry.errors import RegistryError
from slipway.registry.names import ModelName
from slipway.registry.records import UsedView
from slipway.registry.registry import Registry
from slipway.serving import log
from slipway.serving.errors import BadInput, ExitCode, HTTPError, StartError
from slipway.serving.failures import RETRY
from slipway.serving.features.columns import Part, parts
from slipway.serving.openapi import Keyed
from slipway.serving.protocol.body import listed
from slipway.serving.settings import Options
from slipway.serving.signature import Signature
from slipway.storage.port import StorageError

REFRESH_SECONDS = 5.0
"""How often a server looks whether there are newer features."""
_JSON: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "int32": {"type": "integer"},
    "int64": {"type": "integer"},
    "string": {"type": "string"},
    "date": {"type": "string", "format": "date"},
}
MAX_NAMED = 5
"""Entities that an error names."""


@dataclass
class Source:
    """One view in the online store. `trouble`: why it cannot be read, or is not up to date; empty: it is."""

    name: str
    part: Part
    online: OnlineView
    store: OnlineStore
    flagged: bool = False
    """Whether its rows are by another definition than the model was trained on."""
    trouble: str = ""
    counts: dict[str, int] = field(default_factory=lambda: {"found": 0, "missing": 0})

    @property
    def reader(self) -> Reader:
        return self.online.reader

    def refresh(self) -> None:
        """Looks whether there are newer rows; a failure is noted and logged once."""
        before = self.trouble
        try:
            self.reader.refresh()
            self.trouble = ""
            if self.reader.state is None:
                self.trouble = f"{self.name} was not materialised yet: slipway features materialize {self.online.view.name}"
        except (FeatureError, RegistryError, StorageError) as error:
            self.trouble = str(error)
        if self.trouble != before:
            level = "warning" if self.trouble else "info"
            log.line("online features", level=level, view=self.name, store=self.store.shown, reason=self.trouble or "up to date")


class Online:
    """Features for rows of requests. `keep`: the columns that the model takes, and that so stay when they are keys too."""

    def __init__(self, names: tuple[str, str], sources: Sequence[Source], keep: frozenset[str] | None, *, nulls: bool) -> None:
        self._names = names
        self._sources = [source for source in sources if source.part.columns]
        self._keep = keep
        self._nulls = nulls
        self._ended = threading.Event()
        self.keys = frozenset(key for source in self._sources for key in source.online.view.keys)
        threading.Thread(target=self._look, name="online-features", daemon=True).start()

    def keyed(self) -> tuple[Keyed, ...]:
        """What the OpenAPI document tells of entity keys."""
        return tuple(
            Keyed({key.name: _JSON[key.type] for key in source.online.view.entities}, source.part.names)
            for source in self._sources
        )

    def wanted(self, sent: Mapping[str, Any]) -> list[Source]:
        """The views that a row needs: some of whose columns were not sent, though keys were."""
        return [
            source
            for source in self._sources
            if any(name not in sent for name in source.part.names) and any(key in sent for key in source.online.view.keys)
        ]

    def check_whole(self, sent: Mapping[str, Any], field: str) -> None:
        """Raises BadInput when columns are missing that keys would have brought."""
        for source in self._sources:
            if missing := [name for name in source.part.names if name not in sent]:
                keys = listed(source.online.view.keys)
                raise BadInput(f"{field}[0]: {listed(missing)} missing: send them, or {keys} of {source.name}")

    async def join(self, rows: Sequence[dict[str, Any]], field: str) -> list[dict[str, Any]]:
        """`rows` with what `wanted` says of the first; what was sent goes before what is stored, and null stands for what is
        missing. Raises BadInput, HTTPError (503 when the store does not answer)."""
        sources = self.wanted(rows[0])
        found = await asyncio.gather(*(self._read(source, rows, field) for source in sources))
        keys = {key for source in sources for key in source.online.view.keys}
        joined = []
        for at, row in enumerate(rows):
            made = {name: value for name, value in row.items() if self._keep is None or name in self._keep or name not in keys}
            for source, answers in zip(sources, found, strict=True):
                answer = answers[at]
                for place, column in source.part.columns:
                    if column not in row:
                        made[column] = None if answer is None else answer[1][place]
            joined.append(made)
        return joined

    async def _read(self, source: Source, rows: Sequence[dict[str, Any]], field: str) -> list[Row | None]:
        if source.reader.state is None:
            raise _unavailable(source.trouble)
        try:
            found = await source.online.aget(rows)
        except OnlineUnavailable as error:
            log.line("features cannot be read", level="error", view=source.name, reason=str(error))
            raise _unavailable(f"the features of {source.name} cannot be read now") from error
        except BadEntity as error:
            raise BadInput(f"{field}[{error.at}]: {error.reason}") from error
        missing = [at for at, row in enumerate(found) if row is None]
        source.counts["missing"] += len(missing)
        source.counts["found"] += len(found) - len(missing)
        if missing and not self._nulls:
            keys = source.online.view.keys
            told = "; ".join(
                f"{field}[{at}]: " + ", ".join(f"{key}={rows[at][key]!r:.60}" for key in keys) for at in missing[:MAX_NAMED]
            )
            more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
            raise BadInput(
                f"{source.name} has no features, or none within its TTL, of {told}{more}: send {listed(source.part.names)}", 422
            )
        return found

    def families(self) -> Iterator[Any]:
        """Metric families (docs/metrics.md)."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        labels = ["model", "version", "view"]
        rows = CounterMetricFamily("slipway_online_rows", "Rows looked up.", labels=[*labels, "outcome"])
        age = GaugeMetricFamily("slipway_online_age_seconds", "Since the rows were materialised.", labels=labels)
        other = GaugeMetricFamily("slipway_online_other_definition", "1 when not that of the training.", labels=labels)
        now = datetime.now(UTC)
        for source in self._sources:
            who = [*self._names, source.name]
            for outcome, count in source.counts.items():
                rows.add_metric([*who, outcome], count)
            other.add_metric(who, float(source.flagged))
            if (state := source.reader.state) is not None:
                age.add_metric(who, (now - state.to).total_seconds())
        yield from (rows, age, other)

    def close(self) -> None:
        """Lets connections and files go."""
        self._ended.set()
        for source in self._sources:
            source.reader.close()

    def _look(self) -> None:
        while not self._ended.wait(REFRESH_SECONDS):
            for source in self._sources:
                source.refresh()


def open_online(
    names: tuple[str, str],
    used: Sequence[UsedView],
    registry: Registry,
    signature: Signature,
    options: Options,
    *,
    anything: bool,
) -> Online:
    """The views that a version was trained on, in the online store. A store that does not answer is no reason not to start: requests
    that bring all columns need none. Raises StartError for another definition than the trained one."""
    trained = [_trained(view, registry, options) for view in used]
    sources: list[Source] = []
    for part in parts([view for view, _ in trained], signature.row_names, anything=anything):
        target = trained[len(sources)][1]
        sources.append(_source(part, target, registry, options))
    keep = None if anything else frozenset(signature.row_names)
    if not any(source.part.columns for source in sources):
        log.line(
            "no column of the model is a feature", level="warning", model=names[0], views=[source.name for source in sources]
        )
    return Online(names, sources, keep, nulls=options.missing_features == "null")


def _trained(used: UsedView, registry: Registry, options: Options) -> tuple[FeatureView, Target]:
    """The definition that the version was trained on. Raises StartError when the registry does not have it (any more)."""
    name = ModelName.parse(used.view)
    views = Views(registry.store)
    try:
        record = views.get(name, used.revision)
        if record.digest == used.definition:
            return definition(record), Target(name, record.digest)
        there = f"revision {used.revision} of {name} is {record.digest[:19]}…"
        if options.other_definition == "flag":
            record = views.get(name)
            log.line(
                "features by another definition", level="warning", view=str(name), trained=used.definition, found=record.digest
            )
            return definition(record), Target(name, record.digest)
    except UnknownView as error:
        there = str(error)
    except (RegistryError, StorageError) as error:
        raise StartError(str(error)) from error
    raise StartError(f"trained on {name} by definition {used.definition[:19]}…, which is not there: {there}")


def _source(part: Part, target: Target, registry: Registry, options: Options) -> Source:
    try:
        store = connect(options.online_store, registry.store, cache=options.online_cache, ttl=part.view.max_age)
    except InvalidRequest as error:
        raise StartError(f"--online-store: {error}", ExitCode.USAGE) from error
    source = Source(str(target.view), part, OnlineView(part.view, store.reader(target)), store)
    if not part.columns:
        return source
    source.refresh()
    if source.reader.state is None:
        _check_others(source, target, registry, options)
    return source


def _check_others(source: Source, target: Target, registry: Registry, options: Options) -> None:
    """Looks whether the view is there by other definitions only. Raises StartError, or takes the newest of them."""
    try:
        others = source.store.definitions(target)
        if not others:
            return
        views = Views(registry.store)
        number = views.get(target.view).number
        known = [
            record
            for at in range(number, 0, -1)
            if (record := views.get(target.view, at)).digest.removeprefix("sha256:")[:16] in others
        ]
    except (RegistryError, StorageError):
        return  # `refresh` has told it
    told = ", ".join(f"revision {record.number} ({record.digest[:19]}…)" for record in known) or ", ".join(others)
    words = f"trained on {target.view} by definition {target.definition[:19]}…; {source.store.shown} has it by {told}"
    if options.other_definition != "flag" or not known:
        raise StartError(
            f"{words}: materialise the trained one (slipway features materialize {target.view.model} --revision N), train again, or say"
            " --other-definition=flag"
        )
    view = definition(known[0])
    names = view.feature_names
    lost = [
        source.part.view.feature_names[at] for at, _ in source.part.columns if source.part.view.feature_names[at] not in names
    ]
    if lost:
        raise StartError(f"{words}, without {listed(lost)}")
    columns = tuple((names.index(source.part.view.feature_names[at]), column) for at, column in source.part.columns)
    source.reader.close()
    source.part = Part(view, columns)
    source.online = OnlineView(view, source.store.reader(Target(target.view, known[0].digest)))
    source.flagged = True
    log.line(
        "features by another definition", level="warning", view=source.name, trained=target.definition, found=known[0].digest
    )
    source.refresh()


def _unavailable(message: str) -> HTTPError:
    return HTTPError(503, message, headers=RETRY)
