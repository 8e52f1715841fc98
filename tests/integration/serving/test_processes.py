"""A model that is no ONNX runs in a process of its own, which may end without the server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import skops.io
from sklearn.datasets import load_wine
from sklearn.tree import DecisionTreeClassifier

from tests.fakes.serving import infer_body, serving, wait_for


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_its_process_may_end(tmp_path: Path) -> None:
    rows, truth = load_wine(return_X_y=True)
    tree = DecisionTreeClassifier(random_state=0).fit(rows, truth)
    skops.io.dump(tree, tmp_path / "tree.skops")
    body = infer_body(rows, "input", "FP64")
    with serving(tmp_path, f"--model={tmp_path}/tree.skops") as own:
        answer = own.post("/v2/models/tree/infer", body).json()
        np.testing.assert_array_equal(answer["outputs"][0]["data"], tree.predict(rows))
        assert "sklearn" not in Path(f"/proc/{own.process.pid}/maps").read_text(), "the server itself stays small"
        (child,) = children(own.process.pid)
        os.kill(child, signal.SIGKILL)
        codes = [own.post("/v2/models/tree/infer", body).status_code for _ in range(2)]
        assert codes[-1] == 200
        assert codes[0] in (200, 500)
        (second,) = children(own.process.pid)
        assert second != child
        own.stop(signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{second}").exists())
