"""Questions about versions: search, lineage, differences, who uses them. A part of `slipway.registry.registry.Registry`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from slipway.registry.difference import Difference, difference
from slipway.registry.index import Index, IndexReport
from slipway.registry.lineage import Lineage, lineage_of
from slipway.registry.names import ModelName, ModelRef
from slipway.registry.records import AliasMove, Pin, VersionRecord
from slipway.registry.search import NEWEST, Page, Scope, SearchResult, search
from slipway.storage.port import ObjectStore

Model = ModelName | str
"""``namespace/model``, as a name or as text."""


class Reading(Protocol):
    """What these questions ask of a registry."""

    store: ObjectStore
    _index: Index

    def resolve(self, ref: ModelRef | str, default_namespace: str | None = None) -> VersionRecord:
        """As `Registry.resolve`."""

    def aliases(self, model: Model) -> dict[str, AliasMove]:
        """As `Registry.aliases`."""

    def pins(self) -> list[Pin]:
        """As `Registry.pins`."""

    def folders(self, namespace: str | None) -> list[ModelName]:
        """As `Registry.folders`."""


class Metadata:
    """Thread-safe; all calls block."""

    def search(
        self: Reading,
        expression: str = "",
        *,
        models: Iterable[Model] | None = None,
        namespace: str | None = None,
        order_by: str = NEWEST,
        limit: int = 100,
        offset: int = 0,
    ) -> SearchResult:
        """Versions that `expression` holds for (`slipway.registry.query`), among `models`, a namespace's, or all; newest
        first, or by another field, ``-metrics.auc`` for the largest first. What was registered a moment ago is found too,
        with or without an index. Raises InvalidQuery."""
        named = None if models is None else sorted({model_name(model) for model in models})
        scope = Scope(
            models=None if named is None else frozenset(map(str, named)),
            namespace=None if namespace is None else ModelName(namespace, "any").namespace,
        )
        names = (lambda: self.folders(namespace)) if named is None else (lambda: named)
        page = Page(order_by, limit, offset)
        return search(self.store, self._index, names, expression, scope, page)

    def update_index(self: Reading, *, afresh: bool = False, progress: Callable[[int], None] | None = None) -> IndexReport:
        """Takes new versions into the derived index, which makes search and long pages quick; with `afresh`, makes it anew
        from the records alone. Anybody may, at any time, also two at once. `progress` is told of versions as they are
        read."""
        return self._index.update(self.folders(None), afresh=afresh, progress=progress)

    def lineage(self: Reading, ref: ModelRef | str, default_namespace: str | None = None) -> Lineage:
        """What a version was made of and what came of it: data, code, image and build; aliases, deployments and app builds.
        Raises as `resolve`."""
        record = self.resolve(ref, default_namespace)
        return lineage_of(record, self.aliases(record.model).values(), self.pins())

    def diff(self: Reading, before: ModelRef | str, after: ModelRef | str, default_namespace: str | None = None) -> Difference:
        """How two versions differ, of one model or of two. Raises as `resolve`."""
        return difference(self.resolve(before, default_namespace), self.resolve(after, default_namespace))

    def deployed(self: Reading, model: Model, version: int | None = None) -> list[Pin]:
        """Who uses a version, or any version, of a model now: the pins that name it, sorted by kind, namespace, name."""
        name = model_name(model)
        wanted = f"{name}:{version}" if version is not None else f"{name}:"
        using = [
            pin for pin in self.pins() if any(v == wanted or (version is None and v.startswith(wanted)) for v in pin.versions)
        ]
        return sorted(using, key=lambda pin: (pin.kind, pin.namespace, pin.name))


def model_name(model: Model) -> ModelName:
    """`model` as a name. Raises InvalidName."""
    return model if isinstance(model, ModelName) else ModelName.parse(model)
