"""XGBoost's and LightGBM's scikit-learn classes for skl2onnx, by the converters of onnxmltools (extra ``boosting``)."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

_BOOSTERS = {
    "xgboost": ("onnxmltools.convert.xgboost.operator_converters.XGBoost", "convert_xgboost", "XGBoost"),
    "lightgbm": ("onnxmltools.convert.lightgbm.operator_converters.LightGbm", "convert_lightgbm", "LightGbm"),
}
"""Library to its converter's module and function, and the prefix of its operators."""
_CLASSES = {
    "xgboost": (("XGBClassifier", "XGBRFClassifier"), ("XGBRegressor", "XGBRFRegressor")),
    "lightgbm": (("LGBMClassifier",), ("LGBMRegressor",)),
}


def register() -> None:
    """For the libraries that are imported already: a model of theirs cannot be there without."""
    import sys

    if find_spec("onnxmltools") is None:
        return
    for library, (module, function, prefix) in _BOOSTERS.items():
        if library in sys.modules and find_spec(library) is not None:
            _register(library, module, function, prefix)


def missing_for(estimator: object) -> str:
    """What has to be installed for `estimator` or a part of it to be converted; empty when nothing is missing."""
    from slipway.training.converter import parts

    libraries = {type(part).__module__.partition(".")[0] for part in parts(estimator)} & _BOOSTERS.keys()
    if libraries and find_spec("onnxmltools") is None:
        return f"{' and '.join(sorted(libraries))} models need onnxmltools to become ONNX: install slipway[training,boosting]"
    return ""


def _register(library: str, module: str, function: str, prefix: str) -> None:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    convert = getattr(import_module(module), function)
    classifiers, regressors = _CLASSES[library]
    found = import_module(library)
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    for name in classifiers:
        update_registered_converter(
            getattr(found, name), f"{prefix}{name}", calculate_linear_classifier_output_shapes, convert, options=options
        )
    for name in regressors:
        update_registered_converter(getattr(found, name), f"{prefix}{name}", calculate_linear_regressor_output_shapes, convert)
