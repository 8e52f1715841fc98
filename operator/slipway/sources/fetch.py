"""The pod's side: what was pinned, brought to a folder exactly as it was, or an error that says what changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.registry.blobs import Blobs
from slipway.registry.errors import MissingBlob, UnsafePath
from slipway.registry.records import InputRecord, SourceRecord, root_digest
from slipway.sources import git
from slipway.sources.archives import ACCEPTED, unpack
from slipway.sources.errors import InputChanged, InputMissing, SourceChanged, SourceError, SourceInvalid, SourceMissing
from slipway.sources.parquet import count_rows
from slipway.sources.pinned import PinnedInput, PinnedS3, PinnedSource, S3Object, is_tree, relative_paths
from slipway.sources.tree import Limits, TreeWriter
from slipway.storage.keys import parse_s3
from slipway.storage.parallel import in_parallel, serialised
from slipway.storage.port import InvalidKey, NotFound, ObjectStore, Precondition, Progress, Stores
from slipway.storage.stream import read_chunks

_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_PARALLEL = 8


def fetch_source(
    pinned: PinnedSource,
    dest: Path,
    stores: Stores,
    blobs: Blobs,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    git_timeout: float = git.FETCH_TIMEOUT,
    allow_file: bool = False,
) -> SourceRecord:
    """Brings code to the folder `dest`. The record's digest is the root digest of the files. Raises SourceMissing,
    SourceChanged, SourceInvalid, SourceUnavailable, the registry's CorruptBlob, and the store's errors."""
    commit = None
    if pinned.s3 is not None:
        writer = TreeWriter(dest, pinned.uri, limits)
        _fetch_s3_source(pinned.s3, writer, stores, limits)
    elif pinned.git is not None:
        writer = TreeWriter(dest, pinned.uri, limits)
        commit = pinned.git.commit
        git.write_commit(
            pinned.git.url,
            commit,
            writer,
            ref=pinned.git.ref,
            path=pinned.git.path,
            timeout=git_timeout,
            allow_file=allow_file,
        )
    elif pinned.kind == "configMap":
        return _fetch_configmap(pinned, dest, blobs)
    elif pinned.kind == "image":
        return SourceRecord(kind="image", uri=pinned.uri, digest=pinned.digest)
    else:
        raise SourceInvalid(f"source {pinned.uri} of kind {pinned.kind!r} names nothing to fetch")
    if not writer.entries:
        raise SourceMissing(f"{pinned.uri} holds no file")
    kind = "s3" if pinned.s3 is not None else "git"
    return SourceRecord.model_validate({"kind": kind, "uri": pinned.uri, "digest": root_digest(writer.entries), "commit": commit})


def fetch_inputs(
    inputs: Sequence[PinnedInput], dest: Path, stores: Stores, progress: Progress | None = None
) -> tuple[InputRecord, ...]:
    """Brings data to ``dest/<input name>/``, several objects at once. A record's digest is the sha256 of a single object,
    or the root digest of the files below a prefix. Raises InputMissing, InputChanged, SourceInvalid, the store's errors."""
    told = serialised(progress)
    pinned = [_s3_of(entry) for entry in inputs]
    writers = [_input_writer(entry.name, s3, dest) for entry, s3 in zip(inputs, pinned, strict=True)]
    jobs = [
        _Download(stores, s3.uri, thing, path, writer)
        for s3, writer in zip(pinned, writers, strict=True)
        for thing, path in zip(s3.objects, relative_paths(s3), strict=True)
    ]

    def one(job: _Download) -> None:
        try:
            job.run(told)
        except _Gone as error:
            raise InputMissing(str(error)) from error
        except _Changed as error:
            raise InputChanged(str(error)) from error

    in_parallel(one, sorted(jobs, key=lambda job: -job.thing.size), _PARALLEL)
    return tuple(_input_record(entry.name, s3, writer) for entry, s3, writer in zip(inputs, pinned, writers, strict=True))


class _Gone(SourceError):
    """A pinned object that is no longer there."""


class _Changed(SourceError):
    """A pinned object that is no longer the same."""


@dataclass(frozen=True)
class _Download:
    """One pinned object on its way to a file."""

    stores: Stores
    uri: str
    thing: S3Object
    path: str
    writer: TreeWriter

    @property
    def name(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{parse_s3(self.uri).bucket}/{self.thing.key}"

    def run(self, progress: Progress | None = None) -> None:
        self.writer.write(self.path, self.chunks(progress))

    def chunks(self, progress: Progress | None = None) -> Iterator[bytes]:
        """The object's bytes. Raises _Gone, _Changed."""
        store = _bucket(self.stores, self.uri)
        size = 0
        try:
            for chunk in read_chunks(store, self.thing.key, if_match=self.thing.etag, progress=progress):
                size += len(chunk)
                yield chunk
        except NotFound as error:
            raise _Gone(f"{self.name} was deleted since the build was planned") from error
        except Precondition as error:
            raise _Changed(f"{self.name} was replaced since the build was planned") from error
        if size != self.thing.size:
            raise _Changed(f"{self.name} has {size} bytes, {self.thing.size} were planned")


def _fetch_s3_source(pinned: PinnedS3, writer: TreeWriter, stores: Stores, limits: Limits) -> None:
    downloads = [
        _Download(stores, pinned.uri, thing, path, writer)
        for thing, path in zip(pinned.objects, relative_paths(pinned), strict=True)
    ]
    if sum(thing.size for thing in pinned.objects) > limits.size:
        raise SourceInvalid(f"{pinned.uri} is larger than {limits.size >> 20} MiB: put data into inputs")
    try:
        if is_tree(pinned):
            in_parallel(_Download.run, downloads, _PARALLEL)
            return
        (single,) = downloads
        _fetch_single(single, writer, limits)
    except _Gone as error:
        raise SourceMissing(str(error)) from error
    except _Changed as error:
        raise SourceChanged(str(error)) from error


def _fetch_single(download: _Download, writer: TreeWriter, limits: Limits) -> None:
    name = download.path
    if name.lower().endswith(".py"):
        download.run()
        return
    if not name.lower().endswith(_ARCHIVES):
        raise SourceInvalid(f"{download.uri}: {name} is neither Python nor an archive: give {ACCEPTED}, or a prefix/")
    with tempfile.NamedTemporaryFile(prefix="slipway-source-") as packed:
        for chunk in download.chunks():
            packed.write(chunk)
        packed.flush()
        unpack(Path(packed.name), name, writer, limits.size)


def _fetch_configmap(pinned: PinnedSource, dest: Path, blobs: Blobs) -> SourceRecord:
    try:
        blobs.fetch_tree(pinned.files, dest)
    except MissingBlob as error:
        raise SourceMissing(f"{pinned.uri}: its files are not in the registry: {error}") from error
    except UnsafePath as error:
        raise SourceInvalid(f"{pinned.uri}: {error}") from error
    return SourceRecord(kind="configMap", uri=pinned.uri, digest=root_digest(pinned.files))


def _s3_of(entry: PinnedInput) -> PinnedS3:
    if entry.s3 is None:
        raise SourceInvalid(f"input {entry.name!r} is no object of a store")
    return entry.s3


def _input_writer(name: str, s3: PinnedS3, dest: Path) -> TreeWriter:
    if "/" in name or name in ("", ".", ".."):
        raise SourceInvalid(f"input name {name!r} is not a plain name")
    return TreeWriter(dest / name, s3.uri)


def _input_record(name: str, s3: PinnedS3, writer: TreeWriter) -> InputRecord:
    files = writer.entries
    digest = root_digest(files) if is_tree(s3) else files[0].digest
    return InputRecord(
        name=name,
        uri=s3.uri,
        digest=digest,
        size=sum(file.size for file in files),
        rows=count_rows([writer.root / file.path for file in files]),
    )


def _bucket(stores: Stores, uri: str) -> ObjectStore:
    try:
        return stores(parse_s3(uri).bucket)
    except InvalidKey as error:
        raise SourceInvalid(str(error)) from error
