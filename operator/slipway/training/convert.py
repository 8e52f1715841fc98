"""From a fitted estimator to a model file: ONNX where its answers agree with the estimator's, else skops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from slipway.registry.records import Signature, TensorSpec
from slipway.training import onnx_file, skops_file
from slipway.training.compare import Answers, answers, compare
from slipway.training.converter import TARGET_OPSET
from slipway.training.errors import ConversionFailed, FormatRefused
from slipway.training.features import INPUT, Features, example_of, read_features, specs
from slipway.training.formats import ONNX, SKOPS
from slipway.training.reference import REFERENCE_ROWS, Reference, build_reference


@dataclass(frozen=True)
class Converted:
    """A model file as it was written. `record` is kept as the version's ``conversion``."""

    path: Path
    format: str
    signature: Signature | None
    record: dict[str, Any]
    reference: Reference | None = None
    """What the model server holds its traffic against; None when no rows were given."""


def convert(estimator: Any, X: Any, folder: Path, name: str, trusted: tuple[str, ...]) -> Converted:  # noqa: N803
    """Writes ``<name>.onnx`` or ``<name>.skops`` into `folder`.

    `X` are rows that the estimator takes (DataFrame, array, list of texts), for the input types and the comparison;
    without them the model is kept as skops. Raises ConversionFailed when neither format can hold the estimator.
    """
    check_estimator(estimator)
    features, why_not = _features(X)
    expected = _expected(estimator, features) if features else None
    converted = _convert(estimator, features, expected, folder / name, why_not, trusted)
    if converted.signature is None or expected is None:
        return converted
    return replace(converted, reference=_reference(converted.signature, X, expected))


def _convert(
    estimator: Any,
    features: Features | None,
    expected: Answers | None,
    path: Path,
    why_not: str,
    trusted: tuple[str, ...],
) -> Converted:
    if features and expected:
        tried = [features.problem] if features.problem else []
        reasons: dict[str, list[str]] = {}
        for feed in () if features.problem else features.feeds():
            try:
                return _to_onnx(estimator, features, feed, expected, path.with_name(f"{path.name}.onnx"))
            except (ConversionFailed, FormatRefused) as error:
                types = "/".join(sorted({spec.datatype for spec in specs(feed)}))
                reasons.setdefault(str(error), []).append(types)
        tried += [f"with {' and '.join(dict.fromkeys(types))} inputs {words}" for words, types in reasons.items()]
        why_not = "; ".join(tried)
    return _to_skops(estimator, features, expected, path.with_name(f"{path.name}.skops"), why_not, trusted)


def check_estimator(estimator: Any) -> None:
    """Raises ConversionFailed unless `estimator` is a fitted scikit-learn one."""
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    if isinstance(estimator, type):
        raise ConversionFailed(f"save_model was given the class {estimator.__name__}, not a fitted estimator")
    if not isinstance(estimator, BaseEstimator):
        raise ConversionFailed(
            f"save_model takes a scikit-learn estimator or the path of an .onnx or .skops file, not a {kind}; "
            "export other models to ONNX with their own library and give the path"
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise ConversionFailed(f"{type(estimator).__name__} is not fitted: call fit() before save_model()") from error


def _reference(signature: Signature, X: Any, expected: Answers) -> Reference:  # noqa: N803
    rows = read_features(X, REFERENCE_ROWS)
    return build_reference(signature, rows.every(), expected.outputs, expected.labels)


def _features(X: Any) -> tuple[Features | None, str]:  # noqa: N803
    if X is None:
        return None, "no X was given, so its answers could not be compared: call save_model(model, X=X)"
    try:
        return read_features(X), ""
    except ValueError as error:
        return None, str(error)


def _expected(estimator: Any, features: Features) -> Answers:
    try:
        return answers(estimator, features.original)
    except TypeError as error:
        if "neither predict nor transform" in str(error):
            raise ConversionFailed(str(error)) from error
        raise _cannot_answer(estimator, error) from error
    except Exception as error:  # whatever the estimator raises: X is not what it was fitted on
        raise _cannot_answer(estimator, error) from error


def _cannot_answer(estimator: Any, error: Exception) -> ConversionFailed:
    return ConversionFailed(
        f"{type(estimator).__name__} cannot answer for the rows given as X: {type(error).__name__}: "
        f"{onnx_file.first_line(error)}; give rows like those that fit() was given"
    )


def _to_onnx(estimator: Any, features: Features, feed: Any, expected: Answers, path: Path) -> Converted:
    data = onnx_file.convert(estimator, feed, tuple(expected.outputs), features.columns)
    session = onnx_file.open_session(data)
    found = onnx_file.read_signature(session)
    difference = compare(expected, onnx_file.run(session, feed), features.rows)
    if difference.problem:
        raise ConversionFailed(difference.problem)
    columns = features.columns or _column_names(estimator)
    signature = found.model_copy(update={"columns": columns, "example": example_of(feed)})
    record = {
        "converter": f"skl2onnx {version('skl2onnx')}",
        "estimator": _class_name(estimator),
        "opset": TARGET_OPSET[""],
        **difference.to_record(),
    }
    path.write_bytes(data)
    return Converted(path, ONNX, signature, record)


def _to_skops(
    estimator: Any,
    features: Features | None,
    expected: Answers | None,
    path: Path,
    why_not: str,
    trusted: tuple[str, ...],
) -> Converted:
    try:
        skops_file.write(estimator, path)
        loaded = skops_file.load(path, trusted)
    except Exception as error:  # skops raises whatever it stumbles over
        path.unlink(missing_ok=True)
        words = str(error) if isinstance(error, FormatRefused) else f"{type(error).__name__}: {onnx_file.first_line(error)}"
        raise ConversionFailed(
            f"{_class_name(estimator)} could be kept neither as ONNX ({why_not}) nor as skops ({words})"
        ) from error
    record: dict[str, Any] = {
        "converter": f"skops {version('skops')}",
        "estimator": _class_name(estimator),
        "fallback": why_not,
    }
    if features is None or expected is None:
        return Converted(path, SKOPS, signature_without_rows(estimator), record)
    difference = compare(expected, answers(loaded, features.original).outputs, features.rows)
    if difference.problem:
        path.unlink(missing_ok=True)
        raise ConversionFailed(f"{_class_name(estimator)} answers differently after skops: {difference.problem}")
    feed = features.exact()
    signature = Signature(
        inputs=specs(feed),
        outputs=specs(expected.outputs),
        columns=features.columns or _column_names(estimator),
        example=example_of(feed),
    )
    return Converted(path, SKOPS, signature, record | difference.to_record())


def signature_without_rows(estimator: Any) -> Signature | None:
    """Inputs as far as the estimator remembers what it was fitted on."""
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        return None
    inputs = (TensorSpec(name=INPUT, datatype="FP64", shape=(-1, int(count))),)
    return Signature(inputs=inputs, columns=_column_names(estimator))


def _column_names(estimator: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))


def _class_name(estimator: Any) -> str:
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"
