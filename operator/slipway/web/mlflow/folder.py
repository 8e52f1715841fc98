"""A version as the folder that MLflow expects of a model: our files, and an ``MLmodel`` that says how to load them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.registry.records import FileEntry, VersionRecord

MLMODEL, REQUIREMENTS, ENVIRONMENT = "MLmodel", "requirements.txt", "python_env.yaml"
_LOADER = Path(__file__).with_name("client") / "slipway_onnx_loader.py"
"""Goes along with ONNX models, for MLflow to load them with."""
_CODE = "slipway_code"
_COLUMN_TYPES = {"FP32": "double", "FP64": "double", "FP16": "double", "BYTES": "string", "BOOL": "boolean"}
_FLAVOURS = {"onnx": "onnx", "skops": "sklearn"}
_NEEDED = {"onnx": ("onnx", "onnxruntime", "numpy", "pandas"), "skops": ("scikit-learn", "skops", "numpy", "pandas")}


@dataclass(frozen=True)
class Member:
    """A file of the folder: in the registry (`entry`), or made here (`content`)."""

    path: str
    size: int
    content: bytes | None = None
    entry: FileEntry | None = None


@dataclass(frozen=True)
class Listed:
    """One line of a listing; `path` is relative to what was listed."""

    path: str
    is_dir: bool
    size: int | None


def members(record: VersionRecord) -> dict[str, Member]:
    """All files by path. Files of ours go before those made here: a model may bring its own ``MLmodel``."""
    made = {MLMODEL: _mlmodel(record), REQUIREMENTS: _requirements(record), ENVIRONMENT: _environment(record)}
    if record.format == "onnx":
        made[f"{_CODE}/{_LOADER.name}"] = _LOADER.read_bytes()
    found = {path: Member(path, len(content), content) for path, content in made.items()}
    return found | {entry.path: Member(entry.path, entry.size, entry=entry) for entry in record.files}


def listing(files: dict[str, Member], folder: str) -> Iterator[Listed]:
    """What lies directly in `folder` (``""``: the top). A file lists itself, as MLflow's server does."""
    if folder in files:
        yield Listed(folder.rpartition("/")[2], False, files[folder].size)
        return
    prefix = f"{folder}/" if folder else ""
    below = sorted(path.removeprefix(prefix) for path in files if path.startswith(prefix))
    for name in dict.fromkeys(path.partition("/")[0] for path in below):
        member = files.get(prefix + name)
        yield Listed(name, member is None, member.size if member else None)


def _model_file(record: VersionRecord) -> str:
    """The file that is the model, by the media type that registration gave it, else by name."""
    suffix = f".{record.format}"
    by_type = [entry.path for entry in record.files if entry.media_type == f"application/vnd.{record.format}"]
    by_name = [entry.path for entry in record.files if entry.path.endswith(suffix)]
    return (by_type or by_name or [record.files[0].path])[0]


def _mlmodel(record: VersionRecord) -> bytes:
    path = _model_file(record)
    flavour = _FLAVOURS.get(record.format)
    document: dict[str, Any] = {
        "artifact_path": "model",
        "flavors": _flavours(record, flavour, path) if flavour else {},
        "model_size_bytes": sum(entry.size for entry in record.files),
        "model_uuid": record.digest.removeprefix("sha256:")[:32],
        "run_id": record.build_id.removeprefix("sha256:")[:32],
        "utc_time_created": record.created_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "metadata": {"slipway": f"{record.model}:{record.version}", "digest": record.digest},
    }
    signature = _signature(record)
    if signature:
        document["signature"] = signature
    return yaml.safe_dump(document, sort_keys=True).encode()


def _flavours(record: VersionRecord, flavour: str, path: str) -> dict[str, Any]:
    function: dict[str, Any] = {
        "env": {"virtualenv": ENVIRONMENT},
        "loader_module": f"mlflow.{flavour}",
        "python_version": record.environment.python or "3.11.0",
    }
    if flavour == "onnx":
        own: dict[str, Any] = {"code": None, "data": path, "providers": ["CPUExecutionProvider"]}
        return {"onnx": own, "python_function": function | {"loader_module": _LOADER.stem, "code": _CODE, "data": path}}
    version = record.environment.packages.get("scikit-learn")
    own = {"code": None, "pickled_model": path, "serialization_format": "skops", "sklearn_version": version}
    return {"sklearn": own, "python_function": function | {"model_path": path}}


def _signature(record: VersionRecord) -> dict[str, str] | None:
    """MLflow's form of the signature where it means the same to MLflow: a matrix whose columns have names. Of others MLflow
    would refuse inputs that the model takes."""
    known = record.signature
    if known is None or not known.columns or len(known.inputs) != 1:
        return None
    kind = _COLUMN_TYPES.get(known.inputs[0].datatype)
    if kind is None:
        return None
    return {"inputs": json.dumps([{"type": kind, "name": column, "required": True} for column in known.columns])}


def _requirements(record: VersionRecord) -> bytes:
    packages = record.environment.packages
    lines = [f"{name}=={packages[name]}" if name in packages else name for name in _NEEDED.get(record.format, ())]
    return "".join(f"{line}\n" for line in ("mlflow", *lines)).encode()


def _environment(record: VersionRecord) -> bytes:
    python = record.environment.python or "3.11"
    return yaml.safe_dump({"python": python, "dependencies": ["-r requirements.txt"]}, sort_keys=True).encode()
