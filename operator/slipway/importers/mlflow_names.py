"""MLflow's names, numbers and flavours in ours. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.importers.errors import ImportFailed
from slipway.registry.errors import InvalidName
from slipway.registry.names import ModelName, check_alias
from slipway.registry.records import Digest, Scalar, digest_of

GIT_COMMIT = "mlflow.source.git.commit"


def model_name(name: str, namespace: str) -> ModelName:
    """Ours for MLflow's: in lower case, other characters as ``-``. Raises ImportFailed when nothing is left."""
    try:
        return ModelName(namespace, re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-."))
    except InvalidName as error:
        raise ImportFailed(f"model {name!r} cannot be named here: {error}; choose a name with --name") from error


def alias_name(alias: str) -> str | None:
    """Ours for MLflow's; None for one that cannot be had, ``latest`` among them."""
    try:
        return check_alias(re.sub(r"[^a-z0-9]+", "-", alias.lower()).strip("-"))
    except InvalidName:
        return None


def identity(model: ModelName, version: Mapping[str, Any]) -> Digest:
    """The build identity of an imported version: importing it again finds it."""
    said = {name: str(version.get(name, "")) for name in ("name", "version", "run_id", "creation_timestamp")}
    return digest_of({"imported": "mlflow", "as": str(model), **said})


def metrics(run: Mapping[str, Any]) -> dict[str, float]:
    """The last value of each metric that is a finite number."""
    found = {str(entry["key"]): float(entry["value"]) for entry in run.get("data", {}).get("metrics", ())}
    return {key: value for key, value in sorted(found.items()) if math.isfinite(value)}


def params(run: Mapping[str, Any]) -> dict[str, Scalar]:
    """MLflow keeps parameters as text: numbers and truth values are told from it."""
    return {str(entry["key"]): scalar(str(entry["value"])) for entry in run.get("data", {}).get("params", ())}


def scalar(text: str) -> Scalar:
    if text in ("True", "true", "False", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"-?(0|[1-9]\d{0,15})", text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text


def tags(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """A person's own tags; MLflow's begin with ``mlflow.``."""
    return {str(tag["key"]): str(tag["value"]) for tag in entries if not str(tag["key"]).startswith("mlflow.")}


def run_tag(run: Mapping[str, Any], name: str) -> str | None:
    return next((str(tag["value"]) for tag in run.get("data", {}).get("tags", ()) if tag["key"] == name), None)


def moment(millis: Any) -> datetime | None:
    """A time of MLflow's, in milliseconds."""
    return datetime.fromtimestamp(int(millis) / 1000, UTC) if millis else None


def wanted_files(paths: Iterable[str], mlmodel: Mapping[str, Any]) -> tuple[str, ...]:
    """Which files of MLflow's folder are the model: those of the ONNX flavour with the data beside it, or the one file of the
    scikit-learn flavour. All but MLflow's own description when neither is there."""
    known = sorted(paths)
    flavours = mlmodel.get("flavors") or {}
    onnx = str((flavours.get("onnx") or {}).get("data") or "")
    if onnx:
        folder = onnx.rpartition("/")[0]
        return tuple(path for path in known if path == onnx or path.startswith(f"{onnx}/") or _beside(path, folder, onnx))
    sklearn = str((flavours.get("sklearn") or {}).get("pickled_model") or "")
    if sklearn:
        return tuple(path for path in known if path == sklearn)
    return tuple(path for path in known if path != "MLmodel")


_DESCRIPTIONS = frozenset({"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "registered_model_meta"})


def _beside(path: str, folder: str, onnx: str) -> bool:
    """Whether `path` may be data of the ONNX file: next to it, in a folder of its own, or named after it."""
    name = path.rpartition("/")[2]
    if name in _DESCRIPTIONS or path.rpartition("/")[0] != folder:
        return False
    return bool(folder) or name.startswith(onnx.rpartition("/")[2]) or name.endswith((".data", ".onnx_data", ".weight"))
