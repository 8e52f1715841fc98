"""One server with narrow limits for what leaves it unharmed; whoever ends a server starts its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.serving import Served, echo_model, serving

TIMEOUT = 1.0


@pytest.fixture(scope="session")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return echo_model(tmp_path_factory.mktemp("models") / "echo.onnx")


@pytest.fixture(scope="session")
def served(echo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With a time limit of one second."""
    folder = tmp_path_factory.mktemp("faults")
    with serving(folder, f"--model={echo}", f"--timeout={TIMEOUT}") as served:
        yield served
        assert served.process.poll() is None, "a test has ended the server"
