"""On a read-only root file system, as in its pod: only the cache and a folder for temporary files can be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

from slipway.registry.records import VersionDraft, digest_of
from slipway.registry.registry import Registry
from slipway.training.skops_file import write
from tests.fakes.serving import echo_model, infer_body, serving, wait_for
from tests.fakes.stores import unused_port

MOUNTS = """
mount --make-rprivate /
for folder in "$1" "$2"; do mount --bind "$folder" "$folder"; done
mount -o remount,bind,ro /
shift 2
exec "$@"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """What goes before a command, so that only ``cache`` and ``tmp`` below `tmp_path` can be written to."""
    for name in ("cache", "tmp"):
        (tmp_path / name).mkdir()
    user = () if os.getuid() == 0 else ("--map-root-user",)
    yield ("unshare", "--mount", *user, "sh", "-ec", MOUNTS, "-", f"{tmp_path}/cache", f"{tmp_path}/tmp")


def registered(tmp_path: Path) -> str:
    registry = Registry.open(f"file://{tmp_path}/registry")
    (tmp_path / "v").mkdir()
    echo_model(tmp_path / "v" / "model.onnx")
    files = registry.blobs.put_tree(tmp_path / "v")
    build = digest_of({"files": [file.digest for file in files]})
    registry.register(VersionDraft(model="default/echo", build_id=build, reason="test", files=files, format="onnx"))
    return registry.store.uri


def test_a_version_is_downloaded_and_served_with_all_that_a_pod_has(tmp_path: Path, shell: tuple[str, ...]) -> None:
    uri = registered(tmp_path)
    (tmp_path / "app.py").write_text(
        "class Service:\n    def predict(self, inputs):\n        return {'S': inputs['X'].sum(axis=1)}\n"
    )
    temporary = {"HOME": f"{tmp_path}/tmp", "TMPDIR": f"{tmp_path}/tmp"}
    words = (
        "--model=echo:1", f"--registry={uri}", f"--cache={tmp_path}/cache", f"--grpc-port={unused_port()}", "--access-log",
        f"--app={tmp_path}", "--entrypoint=app:Service", f"--payload-log=file://{tmp_path}/tmp/log", "--payload-seconds=0.2",
    )  # fmt: skip
    with serving(tmp_path, *words, before=shell, **temporary) as own:
        mounts = Path(f"/proc/{own.process.pid}/mountinfo").read_text().splitlines()
        root = next(line.split() for line in mounts if line.split()[4] == "/")
        assert "ro" in root[5].split(","), "or the test shows nothing"
        assert own.post("/v2/models/echo/infer", infer_body([[1, 2, 3]])).json()["outputs"][0]["data"] == [6.0]
        assert own.metric("slipway_model_ready") == 1
        wait_for(lambda: list((tmp_path / "tmp" / "log").rglob("*.parquet")))
        assert own.stop() == 0
    assert list((tmp_path / "cache").glob("sha256-*/model.onnx"))
    assert not [line for line in own.lines() if line["level"] != "info"]


def test_a_model_in_processes_of_its_own(tmp_path: Path, shell: tuple[str, ...]) -> None:
    X, y = load_iris(return_X_y=True)
    write(KNeighborsClassifier().fit(X, y), tmp_path / "knn.skops")
    temporary = {"HOME": f"{tmp_path}/tmp", "TMPDIR": f"{tmp_path}/tmp"}
    with serving(tmp_path, f"--model={tmp_path}/knn.skops", before=shell, **temporary) as own:
        answer = own.post("/predict", {"records": X[:2].tolist()}).json()
        assert [row["label"] for row in answer["predictions"]] == [0, 0]
        assert own.stop() == 0


def test_a_cache_that_cannot_be_written_costs_the_cache_and_not_the_server(tmp_path: Path, shell: tuple[str, ...]) -> None:
    uri = registered(tmp_path)
    (tmp_path / "locked").mkdir()
    temporary = {"HOME": f"{tmp_path}/tmp", "TMPDIR": f"{tmp_path}/tmp"}
    words = ("--model=echo:1", f"--registry={uri}", f"--cache={tmp_path}/locked")
    with serving(tmp_path, *words, before=shell, **temporary) as own:
        assert own.post("/v2/models/echo/infer", infer_body([[1, 2, 3]])).status_code == 200
        (told,) = [line for line in own.lines() if line["level"] == "warning"]
        assert (told["cache"], told["reason"]) == (f"{tmp_path}/locked", "Read-only file system")
