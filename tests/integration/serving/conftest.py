"""Servers that many tests may ask; each test that changes one starts its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.serving import Served, echo_model, serving, text_model
from tests.fakes.stores import unused_port


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with echo.onnx, text.onnx."""
    folder = tmp_path_factory.mktemp("models")
    echo_model(folder / "echo.onnx")
    text_model(folder / "text.onnx")
    return folder


@pytest.fixture(scope="session")
def grpc_port() -> int:
    return unused_port()


@pytest.fixture(scope="session")
def both(models: Path, grpc_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two models by HTTP and gRPC; not to be changed."""
    folder = tmp_path_factory.mktemp("both")
    config = folder / "models.yaml"
    config.write_text(f"models:\n  - {{name: echo, model: {models}/echo.onnx}}\n  - {{name: text, model: {models}/text.onnx}}\n")
    with serving(folder, f"--models={config}", f"--grpc-port={grpc_port}") as served:
        yield served
