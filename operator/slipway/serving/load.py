"""From what was asked for to files on this machine: a version of the registry, a folder, or a single file; verified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.serving import log
from slipway.serving.cache import Cache, Lease
from slipway.serving.endpoints import Identity
from slipway.serving.errors import ExitCode, StartError, first_line
from slipway.serving.formats import Known, Model, format_of, open_aside
from slipway.serving.memory import memory_left
from slipway.serving.settings import Options

if TYPE_CHECKING:
    from slipway.registry.blobs import Blobs
    from slipway.registry.records import FileEntry, UsedView, VersionRecord
    from slipway.registry.registry import Registry
    from slipway.training.reference import Reference

LOCAL = "local"
"""The version of a model that comes from no registry."""
VERSION_FILE, SIGNATURE_FILE = "version.json", "signature.json"
_MODEL_SUFFIXES = (".onnx", ".skops", ".pkl", ".pickle", ".joblib")
_MAX_FILES = 10_000


@dataclass(frozen=True)
class Located:
    """A model file on this machine, and what is known of it."""

    path: Path
    format: str
    identity: Identity
    signature: Any = None
    """A `slipway.registry.records.Signature`, or None."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    lease: Lease | None = None
    """Of the cache's folder that it lies in; to be closed when it is not served any more."""
    registry: Registry | None = None
    """Where the version came from."""
    feature_views: tuple[UsedView, ...] = ()
    """Those that it was trained on."""

    def reference(self) -> Reference | None:
        """What training saw; None when the version does not say, or cannot be understood: it is served all the same."""
        from slipway.training.reference import FILE, read_reference

        path = self.path.with_name(FILE)
        if not path.is_file():
            return None
        try:
            return read_reference(path.read_bytes())
        except (OSError, ValueError) as error:
            log.line("no drift is told: the version's reference cannot be read", level="warning", path=path, reason=str(error))
            return None


def locate(options: Options) -> Located:
    """Finds the model, downloads it when it is in the registry, and checks its digest. Raises StartError."""
    if _is_path(options.model):
        if options.verify != "off":
            raise StartError(f"--verify={options.verify} needs a version of the registry: a file proves nothing", ExitCode.USAGE)
        return _local(options, Path(options.model).expanduser())
    return _from_registry(options)


def load(located: Located, options: Options) -> Model:
    """The model, ready to run. Raises StartError, MemoryError."""
    left, size = memory_left(), located.path.stat().st_size
    if left is not None and size > left:
        raise StartError(
            f"out of memory: {located.path.name} has {_mib(size)}, the container has {_mib(left)} left: raise its memory limit"
        )
    return open_aside(located.path, located.format, Known(located.signature, options.trusted_types), options.processes)


def _is_path(model: str) -> bool:
    """Whether `model` names a file or folder. ``./x`` and ``x.onnx`` always do, ``x@alias`` and ``x:7`` never; a bare
    name does when there is such a file."""
    if model.startswith(("/", "./", "../", "~")) or model in (".", "..") or model.lower().endswith(_MODEL_SUFFIXES):
        return True
    return "@" not in model and ":" not in model and Path(model).exists()


def _from_registry(options: Options) -> Located:
    if not options.registry:
        raise StartError(
            f"--registry is needed to find {options.model}: s3://bucket/prefix (or SLIPWAY_REGISTRY); "
            f"for a file write its path, as ./{options.model}",
            ExitCode.USAGE,
        )
    from slipway.registry.errors import InvalidName, NotInRegistry, RegistryError
    from slipway.registry.registry import Registry
    from slipway.storage.port import InvalidKey, StorageError

    try:
        registry = Registry.open(options.registry)
        record = registry.resolve(options.model, options.namespace)
        _check_record(record, options.digest)
        _check_claims(registry.blobs, record, options)
        lease = Cache(options.cache.expanduser(), options.cache_size).lease(record.digest, sum(e.size for e in record.files))
        folder = lease.folder
        registry.blobs.fetch_tree(record.files, folder)
        lease.downloaded()
    except (InvalidName, InvalidKey) as error:
        raise StartError(str(error), ExitCode.USAGE) from error
    except NotInRegistry as error:
        raise StartError(str(error), ExitCode.NOT_FOUND) from error
    except (RegistryError, StorageError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(f"--cache {options.cache}: {error.strerror or error}") from error
    located = _in_folder(folder, [folder / entry.path for entry in record.files], record, _identity(options, record))
    return replace(located, lease=lease, registry=registry, feature_views=_feature_views(record))


def _feature_views(record: VersionRecord) -> tuple[UsedView, ...]:
    found = {view.view: view for entry in record.inputs if entry.features is not None for view in entry.features.views}
    return tuple(found.values())


def _check_record(record: VersionRecord, wanted: str) -> None:
    from slipway.registry.records import root_digest

    found = root_digest(record.files)
    if found != record.digest:
        raise StartError(
            f"wrong digest: the record of {record.model}:{record.version} says {record.digest}, its files make {found}"
        )
    if wanted and wanted != record.digest:
        raise StartError(f"wrong digest: {record.model}:{record.version} has {record.digest}, {wanted} was asked for")


def _check_claims(blobs: Blobs, record: VersionRecord, options: Options) -> None:
    """Raises StartError for a version that cannot prove what is demanded; what it proves is about the digests that the
    download is checked against."""
    from slipway.provenance.dsse import KeyInvalid, load_public_keys
    from slipway.provenance.policy import Policy, problem
    from slipway.provenance.verify import verify_claims

    policy = Policy(options.verify)
    if policy is Policy.OFF:
        return
    try:
        keys = load_public_keys(options.public_keys)
    except KeyInvalid as error:
        raise StartError(f"--public-keys: {error}", ExitCode.USAGE) from error
    lacking = problem(verify_claims(blobs, record, keys), policy)
    if lacking is not None:
        raise StartError(f"not verified: {record.model}:{record.version}: {lacking} (--verify={policy.value})")


def _identity(options: Options, record: VersionRecord) -> Identity:
    return Identity(options.name or record.model.rpartition("/")[2], str(record.version), record.digest)


def _local(options: Options, path: Path) -> Located:
    if not path.exists():
        raise StartError(f"{options.model}: no such file or folder", ExitCode.NOT_FOUND)
    if path.is_dir():
        return _local_folder(options, path)
    kind = format_of(path)
    if kind is None:
        raise StartError(f"{path.name} is no model that can be served: ONNX and skops files are, told by their content")
    digest = _file_digest(path)
    if options.digest and options.digest not in (digest, _tree_digest({path.name: path})):
        raise StartError(f"wrong digest: {path.name} has {digest}, {options.digest} was asked for")
    identity = Identity(options.name or path.stem, LOCAL, digest)
    return Located(path, kind, identity, metadata=_metadata(None, identity))


def _local_folder(options: Options, folder: Path) -> Located:
    record = _read_document(folder / VERSION_FILE, "VersionRecord")
    if record is None:
        files = {path.relative_to(folder).as_posix(): path for path in _files(folder) if path.name != SIGNATURE_FILE}
        digest = _tree_digest(files)
        if options.digest and options.digest != digest:
            raise StartError(f"wrong digest: the files of {folder} make {digest}, {options.digest} was asked for")
        located = _in_folder(folder, list(files.values()), None, Identity(options.name or folder.resolve().name, LOCAL, digest))
        signature = _read_document(folder / SIGNATURE_FILE, "Signature")
        return replace(located, signature=signature)
    _check_record(record, options.digest)
    for entry in record.files:
        _check_file(folder, entry)
    return _in_folder(folder, [folder / entry.path for entry in record.files], record, _identity(options, record))


def _check_file(folder: Path, entry: FileEntry) -> None:
    path = folder / entry.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StartError(f"{VERSION_FILE}: path {entry.path!r} leaves the folder")
    if not path.is_file():
        raise StartError(f"{folder}: {entry.path} is missing, {VERSION_FILE} lists it")
    if (found := _file_digest(path)) != entry.digest:
        raise StartError(f"wrong digest: {entry.path} has {found}, {VERSION_FILE} says {entry.digest}")


def _in_folder(folder: Path, files: list[Path], record: VersionRecord | None, identity: Identity) -> Located:
    """The one model file among `files`; the one named model.* goes first."""
    found = {path: kind for path in files if (kind := format_of(path)) is not None}
    named = [path for path in found if path.parent == folder and path.stem == "model"]
    candidates = named or list(found)
    if not candidates:
        names = ", ".join(path.relative_to(folder).as_posix() for path in files[:5]) or "nothing"
        raise StartError(f"{identity.name}: no ONNX or skops file among its files ({names})")
    if len(candidates) > 1:
        names = ", ".join(sorted(path.relative_to(folder).as_posix() for path in candidates)[:5])
        raise StartError(f"{identity.name}: {len(candidates)} model files ({names}): give the path of one, or name it model.onnx")
    path = candidates[0]
    signature = record.signature if record is not None else None
    return Located(path, found[path], identity, signature, _metadata(record, identity))


def _metadata(record: VersionRecord | None, identity: Identity) -> dict[str, Any]:
    """What application code is told of the version."""
    known: dict[str, Any] = {"name": identity.name, "version": identity.version, "digest": identity.digest}
    if record is not None:
        known |= {
            "model": record.model,
            "params": dict(record.params),
            "metrics": dict(record.metrics),
            "tags": dict(record.tags),
        }
    return known


def _read_document(path: Path, kind: str) -> Any:
    """A stored document beside the model; None when there is none."""
    if not path.is_file():
        return None
    from slipway.registry import records

    try:
        return getattr(records, kind).model_validate_json(path.read_bytes())
    except ValueError as error:
        raise StartError(f"{path}: {_pydantic_words(error)}") from error
    except OSError as error:
        raise StartError(f"{path}: {error.strerror or error}") from error


def _pydantic_words(error: ValueError) -> str:
    """The first finding of a validation, with its field."""
    errors = getattr(error, "errors", None)
    if errors is None:
        return first_line(error)
    first = errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _files(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            found.append(path)
        if len(found) > _MAX_FILES:
            raise StartError(f"{folder} holds more than {_MAX_FILES} files: give the folder of one version")
    return found


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StartError(f"{path}: {error.strerror or error}") from error


def _tree_digest(files: Mapping[str, Path]) -> str:
    """The root digest of files by their paths, as the registry makes it."""
    from slipway.registry.records import FileEntry, root_digest

    return root_digest(FileEntry(path=name, digest=_file_digest(path), size=path.stat().st_size) for name, path in files.items())


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
