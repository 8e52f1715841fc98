"""`Run`: what a training script is given.

    def main(run: Run) -> None:
        train = run.inputs["train"].read_parquet()
        model = LogisticRegression(C=run.params["C"]).fit(train[FEATURES], train["target"])
        run.log_metric("accuracy", model.score(...))
        run.save_model(model, X=train[FEATURES])

All that a run leaves lies under one folder, in the layout of `slipway.training.layout`; the same layout is the file
contract for containers that know nothing of this class.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from slipway.training.errors import FormatRefused, MetricInvalid, ReportInvalid
from slipway.training.inputs import Inputs
from slipway.training.layout import ModelNote, Output
from slipway.training.params import Params

if TYPE_CHECKING:
    from slipway.registry.records import Signature

MAX_METRICS = 100
_METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,99}")
_REPORT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class SavedModel:
    """A model as it was saved."""

    path: Path
    format: str
    """``onnx`` or ``skops``."""
    signature: Signature | None
    conversion: dict[str, Any]
    """How an estimator became `format`: converter, rows compared, largest difference; or why it is not ONNX."""


class Run:
    """One run of a training script: what it was given, and where it leaves its results."""

    def __init__(self, *, params: Params, inputs: Inputs, output: Path, trusted_types: tuple[str, ...] = ()) -> None:
        """`output`: the folder for results. `trusted_types`: types that a skops file may hold beyond skops' own list."""
        self._params = params
        self._inputs = inputs
        self._output = Output(output)
        self._trusted = tuple(trusted_types)
        self._metrics: dict[str, float] = {}
        self._output.make()

    @property
    def params(self) -> Params:
        """Parameters by name, read only, as written in ``trainer.params``."""
        return self._params

    @property
    def inputs(self) -> Inputs:
        """Input data by name, as listed in ``spec.inputs``."""
        return self._inputs

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics logged so far."""
        return dict(self._metrics)

    def info(self, message: object) -> None:
        """A line for the log, as print() writes it but flushed at once."""
        print(message, file=sys.stdout, flush=True)

    def log_metric(self, name: str, value: Any) -> None:
        """Keeps a metric; the last value logged under a name counts. `value` is a finite number (numpy's scalars are
        fine). Raises MetricInvalid."""
        self.log_metrics({name: value})

    def log_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Keeps several metrics, all or none. Raises MetricInvalid."""
        self._metrics = check_metrics({**self._metrics, **metrics})
        self._output.write_metrics(self._metrics)
        for name in metrics:
            self.info(f"metric {name} = {self._metrics[name]:.6g}")

    def log_report(self, name: str, content: Path | str | bytes) -> Path:
        """Keeps a file with the version: a plot, a table, a model card. `name` is its relative name, for example
        ``roc.svg``; `content` the file's Path, or its text or bytes. A str that names a file is read as a path.
        Gives the path of the copy. Raises ReportInvalid, FileNotFoundError."""
        target = self._output.reports / check_report_name(name)
        source = _as_file(name, content)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source is not None:
            shutil.copyfile(source, target)
        elif isinstance(content, str):
            target.write_text(content, encoding="utf-8")
        elif isinstance(content, bytes | bytearray | memoryview):
            target.write_bytes(content)
        return target

    def save_model(
        self,
        model: Any,
        *,
        X: Any = None,  # noqa: N803
        signature: Signature | None = None,
        name: str = "model",
    ) -> SavedModel:
        """Keeps the model of this run; a later call replaces an earlier one.

        `model` is a fitted scikit-learn estimator or the path of an .onnx or .skops file. An estimator is converted to
        ONNX, and its answers on `X` (rows like those given to fit(); at most 2,000 of them are used) are compared with
        the converted model's. Where they differ, or ONNX cannot express it, or `X` is missing, it is kept as skops.
        Histograms of `X` and of the answers are kept beside it, for the model server to tell drift by.
        `signature` adds column names and an example to a file that is given by path.

        Raises FormatRefused for pickle, joblib and unknown formats, ConversionFailed when an estimator fits neither
        format."""
        if not _MODEL.fullmatch(name):
            raise ValueError(f"name {name!r}: letters, digits and _ . - only, a letter or digit first, 63 at most")
        started = time.monotonic()
        self._output.clear_model()
        try:
            saved = self._copy(Path(model), signature) if _is_path(model) else self._convert(model, X, name)
        except BaseException:
            self._output.clear_model()
            raise
        seconds = time.monotonic() - started
        with saved.path.open("rb") as file:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        self._output.write_note(
            ModelNote(
                path=saved.path.relative_to(self._output.model).as_posix(),
                digest=digest,
                format=saved.format,
                signature=saved.signature,
                conversion=saved.conversion,
                seconds=round(seconds, 3),
            )
        )
        self._tell(saved)
        return saved

    def _convert(self, model: Any, X: Any, name: str) -> SavedModel:  # noqa: N803
        from slipway.training.convert import convert
        from slipway.training.reference import FILE

        converted = convert(model, X, self._output.model, name, self._trusted)
        if converted.reference is not None:
            (self._output.model / FILE).write_bytes(converted.reference.to_json())
        return SavedModel(converted.path, converted.format, converted.signature, converted.record)

    def _copy(self, source: Path, signature: Signature | None) -> SavedModel:
        from slipway.training.inspect import inspect_model

        if source.is_dir():
            shutil.copytree(source, self._output.model, dirs_exist_ok=True)
        elif source.exists():
            shutil.copyfile(source, self._output.model / source.name)
        else:
            raise FileNotFoundError(f"save_model: there is no file {source}")
        found = inspect_model(self._output.model, self._trusted)
        if signature is not None:
            found = found.with_signature(signature)
        return SavedModel(found.path, found.format, found.signature, {"given": found.format})

    def _tell(self, saved: SavedModel) -> None:
        record = saved.conversion
        if "fallback" in record:
            self.info(f"model kept as {saved.path.name}, not as ONNX: {record['fallback']}")
        elif "rows" in record:
            self.info(
                f"model kept as {saved.path.name}: equal to the estimator on {record['rows']} rows "
                f"(largest difference {record['maxAbsDiff']:.2g})"
            )
        else:
            self.info(f"model kept as {saved.path.name}")


def check_metrics(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """The metrics as floats. Raises MetricInvalid naming the first that is malformed or not a finite number."""
    checked = {}
    for name, value in metrics.items():
        if not isinstance(name, str) or not _METRIC.fullmatch(name):
            raise MetricInvalid(f"metric {name!r}: a name has letters, digits and _ . / - only, a letter or _ first, 100 at most")
        checked[name] = _number(name, value)
    if len(checked) > MAX_METRICS:
        raise MetricInvalid(f"{len(checked)} metrics were logged; a version keeps {MAX_METRICS} at most")
    return checked


def check_report_name(name: str) -> PurePosixPath:
    """A relative path that stays below the folder of reports. Raises ReportInvalid."""
    if not isinstance(name, str) or not _REPORT.fullmatch(name) or len(name) > 200:
        raise ReportInvalid(
            f"report {name!r}: a name is a relative path of letters, digits, blanks and _ . - such as plots/roc.svg, "
            "200 characters at most"
        )
    return PurePosixPath(name)


def _number(name: str, value: Any) -> float:
    if getattr(value, "size", None) == 1 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise MetricInvalid(f"metric {name}: {type(value).__name__} {str(value)[:50]!r} is not a number")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetricInvalid(f"metric {name}: {type(value).__name__} is not one number: {error}") from None
    if not math.isfinite(number):
        raise MetricInvalid(f"metric {name} is {number}: only finite numbers are kept; look at why it is not one")
    return number


def _as_file(name: str, content: object) -> Path | None:
    """The file that `content` names; None when it is the content itself."""
    if isinstance(content, Path):
        if not content.is_file():
            raise FileNotFoundError(f"report {name!r}: there is no file {content}")
        return content
    if isinstance(content, bytes | bytearray | memoryview):
        return None
    if not isinstance(content, str):
        raise ReportInvalid(f"report {name!r}: give a Path, text or bytes, not a {type(content).__name__}")
    if len(content) > 1024 or "\n" in content or "<" in content or "\0" in content:
        return None
    path = Path(content)
    if content and path.is_file():
        return path
    suffix = PurePosixPath(name).suffix
    if suffix and path.suffix == suffix and " " not in content:
        raise FileNotFoundError(f"report {name!r}: there is no file {content}; text that looks like a path goes in as bytes")
    return None


def _is_path(model: Any) -> bool:
    if isinstance(model, bytes | bytearray):
        raise FormatRefused("save_model takes an estimator or a path, not bytes: write them to an .onnx or .skops file")
    return isinstance(model, str | Path)


def read_metrics(path: Path) -> dict[str, float]:
    """The metrics in a ``metrics.json``; none when there is no such file. Raises MetricInvalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise MetricInvalid(f"{path.name} cannot be read: {error}") from error
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise MetricInvalid(f"{path.name} is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise MetricInvalid(f'{path.name} holds a {type(raw).__name__}; write an object such as {{"accuracy": 0.98}}')
    return check_metrics(raw)
