"""The model registry and metadata store: one object over one store, for everybody who reads or writes it."""

from __future__ import annotations

import time
import uuid as uuid_module
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.registry import documents
from slipway.registry.aliases import ANY, Aliases, Expected
from slipway.registry.attempts import Attempts, attempt_prefix
from slipway.registry.blobs import Blobs
from slipway.registry.errors import (
    CorruptBlob,
    MissingBlob,
    NotInRegistry,
    RegistryError,
    RetiredVersion,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
    closest,
)
from slipway.registry.garbage.state import Retired, retired_key
from slipway.registry.index import Index
from slipway.registry.metadata import Metadata, Model, model_name
from slipway.registry.moved import announce
from slipway.registry.names import LATEST, ModelName, ModelRef, check_path, check_version
from slipway.registry.records import AliasMove, Pin, VersionDraft, VersionRecord
from slipway.registry.refusals import Refusals
from slipway.registry.rollouts import Rollouts
from slipway.registry.sequence import Ends
from slipway.registry.upkeep import Upkeep
from slipway.registry.versions import Seen, VersionPage, Versions
from slipway.storage import S3Options, open_store
from slipway.storage.parallel import in_parallel
from slipway.storage.port import ObjectStore

__all__ = ["Model", "Registry", "Verification", "attempt_prefix"]


@dataclass(frozen=True)
class Verification:
    """What a look at every byte of a version found: digests of blobs that are not there, and of those that are
    wrong."""

    missing: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all is as the record says."""
        return not self.missing and not self.corrupt


class Registry(Attempts, Metadata, Refusals, Rollouts, Upkeep):
    """Thread-safe; all calls block, and may raise the store's errors (`slipway.storage.port`) besides their own."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        uuid: Callable[[], str] = lambda: str(uuid_module.uuid4()),
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.blobs = Blobs(store, clock=clock, monotonic=monotonic, pause=pause)
        self._index = Index(store, clock=clock)
        self._ends: Ends = {}
        self._seen = Seen()
        self._clock = clock
        self._uuid = uuid
        self._pause = pause
        self._monotonic = monotonic

    @classmethod
    def open(cls, uri: str, options: S3Options | None = None) -> Registry:
        """The registry at ``s3://bucket/prefix`` or ``file:///folder``; makes no request. Raises InvalidKey."""
        return cls(open_store(uri, options))

    # Versions

    def register(self, draft: VersionDraft, *, check: bool = True) -> VersionRecord:
        """Gives `draft` the next number of its model, or finds the version that its build identity has already: calling
        again after any failure is safe. With `check`, all its blobs must be there. Raises MissingBlob, InvalidName,
        UnsafePath, and RegistryError for a draft without files."""
        model = ModelName.parse(draft.model)
        paths = [check_path(entry.path) for entry in draft.files]
        if not paths:
            raise RegistryError(f"{model}: a version needs at least one file")
        if len(set(paths)) != len(paths):
            raise RegistryError(f"{model}: two files of the version have the same path")
        if check:
            self._check_blobs(model, draft)
        writer = self._uuid()
        draft = draft.model_copy(update={"model": str(model)})
        record = self._versions(model).register(draft, writer=writer, now=self._clock())
        if record.writer != writer and self.retired(model, record.version) is not None:
            self.restore(model, record.version)  # given up, and now its files have been stored again
        return record

    def get(self, model: Model, version: int) -> VersionRecord:
        """Raises UnknownModel or UnknownVersion, which say what there is; CorruptRecord, NewerSchema."""
        name = model_name(model)
        try:
            return self._versions(name).get(check_version(version))
        except UnknownVersion as error:
            raise self._unknown_version(name, version) from error

    def latest(self, model: Model) -> int:
        """The highest version, in two requests; 0 when the model has none."""
        return self._versions(model_name(model)).latest()

    def find_build(self, model: Model, build_id: str) -> VersionRecord | None:
        """The version that a build identity has; None when it was not registered."""
        return self._versions(model_name(model)).find_build(build_id)

    def versions(self, model: Model, *, before: int | None = None, limit: int = 100) -> list[VersionRecord]:
        """A page of versions, newest first; the next one by `before` the last number seen. Empty when there are none. Raises
        CorruptRecord or NewerSchema where one of them cannot be read; `page` gives the others."""
        page = self.page(model, before=before, limit=limit)
        if page.unreadable:
            raise page.unreadable[max(page.unreadable)]
        return list(page.records)

    def page(self, model: Model, *, before: int | None = None, limit: int = 100) -> VersionPage:
        """A page of versions, newest first, with what is wrong with those that cannot be read."""
        return self._versions(model_name(model)).page(before, limit)

    def models(self, namespace: str | None = None) -> list[ModelName]:
        """All models that have a version, sorted; of one namespace, or of all."""
        names = self.folders(namespace)

        def has_version(name: ModelName) -> bool:
            prefix = f"models/{name.namespace}/{name.model}/versions/"
            return next(self.store.list(prefix, limit=1), None) is not None

        kept = in_parallel(has_version, names, 8)
        return sorted(name for name, keep in zip(names, kept, strict=True) if keep)

    def resolve(self, ref: ModelRef | str, default_namespace: str | None = None) -> VersionRecord:
        """The version that a reference names now: ``NAME`` and ``NAME@latest`` are the highest. Raises InvalidName,
        UnknownModel, UnknownVersion, UnknownAlias."""
        wanted = ref if isinstance(ref, ModelRef) else ModelRef.parse(ref, default_namespace)
        if wanted.version is not None:
            return self.get(wanted.name, wanted.version)
        if wanted.alias is None or wanted.alias == LATEST:
            latest = self.latest(wanted.name)
            if not latest:
                raise self._unknown_model(wanted.name)
            return self.get(wanted.name, latest)
        move = self.alias(wanted.name, wanted.alias)
        if move is None or move.version is None:
            raise self._unknown_alias(wanted.name, wanted.alias, move)
        return self.get(wanted.name, move.version)

    # Aliases

    def alias(self, model: Model, alias: str) -> AliasMove | None:
        """The alias's last move; None when it was never set. Its `version` is None when it was taken away."""
        return self._aliases(model_name(model)).current(alias)

    def aliases(self, model: Model) -> dict[str, AliasMove]:
        """The aliases that point at a version now, by name."""
        return self._aliases(model_name(model)).all()

    def move_alias(
        self,
        model: Model,
        alias: str,
        version: int | None,
        *,
        by: str,
        reason: str = "",
        expected: int | Expected | None = ANY,
    ) -> AliasMove:
        """Points `alias` at `version`, or takes it away with None. When it is there already nothing is written, and the
        answer, which is the last move, has ``changed=False``. With `expected` (a version, or None for not set) it moves
        only from there. Raises LostRace, UnknownModel, UnknownVersion, RetiredVersion, InvalidName."""
        name = model_name(model)
        if version is not None:
            self._check_usable(name, check_version(version))
        move = self._aliases(name).move(
            alias, version, by=by, reason=reason, expected=expected, writer=self._uuid(), clock=self._clock
        )
        if move.changed:
            announce(self.store, move)
        return move

    def history(self, model: Model, alias: str, *, at: datetime | None = None, limit: int | None = None) -> list[AliasMove]:
        """All moves of an alias, newest first, at most `limit`. With `at` (a time with its zone), only those up to
        then: the first is the one that was in force. Empty when the alias was not yet set."""
        if at is not None and at.tzinfo is None:
            raise ValueError(f"{at.isoformat()} has no time zone: add Z for UTC")
        return self._aliases(model_name(model)).history(alias, at, limit)

    # Pins

    def pin(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        versions: Iterable[str] = (),
        blobs: Iterable[str] = (),
        images: Iterable[str] = (),
    ) -> Pin:
        """Says that an object uses `versions` (``namespace/model:number`` each) and `blobs`, with `images`; replaces what it
        said before. A version that retention has given up is brought back while its files are there. Raises MissingBlob when
        they are not."""
        pin = Pin(
            kind=kind,
            namespace=namespace,
            name=name,
            versions=tuple(sorted(set(versions))),
            blobs=tuple(sorted(set(blobs))),
            images=tuple(sorted(set(images))),
            at=self._clock(),
        )
        self.store.put(_pin_key(kind, namespace, name), pin.to_json(), content_type="application/json")
        for one in pin.versions:
            # Pinned first, so that no collector gives it up from now on; one that was given up before is brought back.
            ref = ModelRef.parse(one)
            if ref.version is not None and self.retired(ref.name, ref.version) is not None:
                self.restore(ref.name, ref.version)
        return pin

    def unpin(self, kind: str, namespace: str, name: str) -> None:
        """Takes an object's pin away; none is no error."""
        self.store.delete(_pin_key(kind, namespace, name))

    def pins(self) -> list[Pin]:
        """All pins."""
        keys = [info.key for info in self.store.list("pins/")]
        found = in_parallel(lambda key: documents.read(self.store, key, Pin), keys, 8)
        return [pin for pin in found if pin is not None]

    # Bytes

    def missing_blobs(self, record: VersionDraft) -> list[str]:
        """The digests of the version's files whose blob is not there or has another size, without reading any; all of them
        when retention has given the version up."""
        if isinstance(record, VersionRecord) and self.retired(record.model, record.version) is not None:
            return sorted({entry.digest for entry in record.files})
        return self.blobs.missing(record.files)

    def verify(self, record: VersionRecord) -> Verification:
        """Reads every byte of the version's files."""
        outcomes = in_parallel(self._verdict, sorted({entry.digest for entry in record.files}), 4)
        return Verification(
            missing=tuple(digest for digest, verdict in outcomes if verdict == "missing"),
            corrupt=tuple(digest for digest, verdict in outcomes if verdict == "corrupt"),
        )

    def _versions(self, model: ModelName) -> Versions:
        return Versions(self.store, model, pause=self._pause, ends=self._ends, seen=self._seen)

    def _aliases(self, model: ModelName) -> Aliases:
        return Aliases(self.store, model, pause=self._pause, monotonic=self._monotonic, ends=self._ends)

    def folders(self, namespace: str | None) -> list[ModelName]:
        """Models of one namespace or of all, by their folders, with or without a version."""
        namespaces = [namespace] if namespace is not None else list(self.store.list_folders("models/"))
        return [name for found in in_parallel(self._named, namespaces, 8) for name in found]

    def _named(self, namespace: str) -> list[ModelName]:
        """Models of a namespace by their folders, with or without a version; folders of others are passed over."""
        names = []
        for folder in self.store.list_folders(f"models/{namespace}/"):
            try:
                names.append(ModelName(namespace, folder))
            except ValueError:
                continue
        return names

    def _check_usable(self, name: ModelName, version: int) -> None:
        marker = retired_key(name, version)
        record, gone = self.store.get_many([self._versions(name).key(version), marker])
        if record is None:
            raise self._unknown_version(name, version)
        if gone is not None:
            retired = documents.load(Retired, gone.data, f"{self.store.uri}/{marker}")
            raise RetiredVersion(
                f"{name}:{version} was retired on {retired.at:%Y-%m-%d} ({retired.reason}): bring it back first, "
                f"slipway model restore {name}:{version}"
            )

    def _check_blobs(self, model: ModelName, draft: VersionDraft) -> None:
        files = draft.every_file()
        missing = self.blobs.missing(files)
        if missing:
            paths = sorted(entry.path for entry in files if entry.digest in missing)
            raise MissingBlob(
                f"{model}: {len(missing)} of the version's files are not in {self.store.uri}, or not whole: "
                f"{', '.join(paths[:5])}: store them first",
                missing,
            )

    def _verdict(self, digest: str) -> tuple[str, str]:
        try:
            self.blobs.verify(digest)
        except MissingBlob:
            return digest, "missing"
        except CorruptBlob:
            return digest, "corrupt"
        return digest, "ok"

    def _unknown_model(self, name: ModelName) -> NotInRegistry:
        known = [known.model for known in self.models(name.namespace)]
        similar = [f"{name.namespace}/{model}" for model in closest(name.model, known)]
        there = ""
        if not similar:
            similar = [str(other) for other in self.folders(None) if other.model == name.model and self.latest(other)][:3]
        if not similar:
            few = f": {', '.join(sorted(known)[:5])}" + (" …" if len(known) > 5 else "") if known else ""
            there = f" Namespace {name.namespace} has {len(known) or 'no'} model{'' if len(known) == 1 else 's'}{few}."
        return UnknownModel(f"no model {name} in {self.store.uri}.{there}", similar)

    def _unknown_version(self, name: ModelName, version: int) -> NotInRegistry:
        latest = self.latest(name)
        if not latest:
            return self._unknown_model(name)
        return UnknownVersion(f"{name} has no version {version}: it has 1 to {latest}.")

    def _unknown_alias(self, name: ModelName, alias: str, last: AliasMove | None) -> NotInRegistry:
        if not self.latest(name):
            return self._unknown_model(name)
        known = self.aliases(name)
        there = f"it has {', '.join(sorted(known))}" if known else "it has none"
        gone = f" (taken away on {last.at.isoformat()} by {last.by})" if last is not None else ""
        similar = [f"{name}@{other}" for other in closest(alias, known)]
        return UnknownAlias(f"{name} has no alias {alias}{gone}: {there}.", similar)


def _pin_key(kind: str, namespace: str, name: str) -> str:
    return f"pins/{check_path(kind)}/{check_path(namespace)}/{check_path(name)}.json"
