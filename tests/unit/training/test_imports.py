"""Importing must stay cheap: the operator imports the contract, every training pod starts with the runner."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "pandas", "sklearn", "skl2onnx", "onnxruntime", "onnx", "skops", "pyarrow", "dulwich", "boto3"}


@pytest.mark.parametrize(
    "module",
    [
        "slipway.training.contract",
        "slipway.training",
        "slipway.training.run",
        "slipway.training.child",
        "slipway.training.attempt",
        "slipway.training.local",
        "slipway.training.__main__",
    ],
)
def test_no_heavy_library_is_imported_early(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_public_names_are_there() -> None:
    import slipway.training

    for name in slipway.training.__all__:
        assert getattr(slipway.training, name).__name__ == name
    with pytest.raises(AttributeError):
        slipway.training.nothing_like_this  # noqa: B018
