"""Definitions of feature views in the bucket: numbered revisions, claimed like versions of models."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from slipway.features.definitions import FeatureView, check_follows, check_name, parse
from slipway.features.errors import InvalidDefinition, UnknownView
from slipway.features.records import Revision
from slipway.registry import documents
from slipway.registry.errors import LostRace, closest
from slipway.registry.names import ModelName
from slipway.registry.sequence import NumberedLog, Position
from slipway.storage.port import ObjectStore

_TRIES = 8


class Views:
    """The feature views of a registry. Thread-safe; all calls block."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def names(self, namespace: str | None = None) -> list[ModelName]:
        """All views, sorted; of one namespace, or of all."""
        spaces = [namespace] if namespace is not None else list(self._store.list_folders("features/"))
        found = []
        for space in spaces:
            for name in self._store.list_folders(f"features/{space}/"):
                prefix = f"features/{space}/{name}/definitions/"
                if next(self._store.list(prefix, limit=1), None) is not None:
                    found.append(ModelName(space, name))
        return sorted(found)

    def get(self, name: ModelName, number: int | None = None) -> Revision:
        """A revision; None: the present one. Raises UnknownView, CorruptRecord, NewerSchema."""
        log = self._log(name)
        wanted = number if number is not None else log.position().last
        data = log.read(wanted) if wanted else None
        if data is not None:
            return documents.load(Revision, data, f"{self._store.uri}/{log.key(wanted)}")
        last = log.position().last
        if last:
            raise UnknownView(f"feature view {name} has no revision {number}: it has 1 to {last}.")
        known = [other.model for other in self.names(name.namespace)]
        similar = [f"{name.namespace}/{other}" for other in closest(name.model, known)]
        raise UnknownView(f"no feature view {name} in {self._store.uri}.", similar)

    def last(self, name: ModelName, near: int = 0) -> int:
        """The highest revision's number; 0 when there is none. One request when `near`, a number seen before, still is there."""
        return self._log(name, near).position().last

    def find(self, name: ModelName, digest: str) -> Revision | None:
        """The newest revision with that definition digest."""
        log = self._log(name)
        for number in range(log.position().last, 0, -1):
            revision = self.get(name, number)
            if revision.digest == digest:
                return revision
        return None

    def apply(self, namespace: str, view: FeatureView, *, by: str, writer: str, now: Callable[[], datetime]) -> Revision:
        """Makes `view` the present definition; nothing is written when it is that already. Raises InvalidDefinition
        when rows that are there could not be read by it; LostRace when others keep changing it."""
        name = ModelName(namespace, check_name(view.name))
        log = self._log(name)
        for _ in range(_TRIES):
            position = log.position()
            if position.last:
                old = self.get(name, position.last)
                if old.definition == view.to_dict():
                    return old.model_copy(update={"changed": False})
                check_follows(view, parse(old.definition, f"{name} revision {old.number}"))
            revision = Revision(
                namespace=namespace,
                view=view.name,
                number=position.last + 1,
                digest=view.digest,
                definition=view.to_dict(),
                by=by,
                at=now(),
                writer=writer,
            )
            body = revision.to_json()
            if log.claim(revision.number, body) == body:
                log.remember(revision.number, position.hint)
                return revision
        raise LostRace(f"feature view {name}: others change it all the time; look at it and apply again")

    def _log(self, name: ModelName, near: int = 0) -> NumberedLog:
        prefix, hint = f"features/{name.namespace}/{name.model}/definitions/", f"index/last/definitions/{name}.json"
        return NumberedLog(self._store, prefix, hint, ends={hint: Position(near, near)} if near else None)


def definition(revision: Revision) -> FeatureView:
    """The view that a revision defines. Raises InvalidDefinition when this Slipway cannot read it."""
    view = parse(revision.definition, f"{revision.namespace}/{revision.view} revision {revision.number}")
    if view.digest != revision.digest:
        raise InvalidDefinition(
            f"{revision.namespace}/{revision.view} revision {revision.number}: its digest is not that of its text"
        )
    return view
