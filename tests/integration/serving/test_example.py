"""examples/03-serving, as its README says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.serving.envs import peer_python
from tests.fakes.serving import SOURCE, serving
from tests.fakes.stores import unused_port

EXAMPLE = SOURCE.parent / "examples" / "03-serving"


def run(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_example(tmp_path: Path) -> None:
    folder, port = tmp_path / "wine", unused_port()
    run(sys.executable, EXAMPLE / "train.py", folder)
    with serving(tmp_path, f"--model={folder}", f"--grpc-port={port}") as own:
        v2, v1, records = (json.loads(line) for line in run("sh", EXAMPLE / "ask.sh", own.url).splitlines())
        assert v2["outputs"][0]["data"] == [0]
        assert v1["predictions"][0]["label"] == 0
        assert records["predictions"][0]["label"] == 0
        asked = run(peer_python("clients"), EXAMPLE / "ask.py", own.address, f"127.0.0.1:{port}")
        assert asked.count("[0]") == 2
        assert "POST /predict/wine" in own.get("/").text
