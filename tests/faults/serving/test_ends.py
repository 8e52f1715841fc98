"""How a server ends: on SIGTERM under load, when killed, and when it cannot start."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from tests.fakes.serving import DEADLINE, Served, command, echo_model, environment, infer_body, serving, slow_model, wait_for


class Load:
    """Clients that ask all the time and follow where they are told; `lost` are requests that got no answer."""

    def __init__(self, urls: list[str], clients: int = 8) -> None:
        self.urls = urls
        """Where to ask; the list is changed as an endpoint list is."""
        self.answered = 0
        self.lost: list[str] = []
        self._clients = clients
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(at) for at in range(self._clients)))

    async def _client(self, number: int) -> None:
        at = 0
        async with httpx.AsyncClient(timeout=DEADLINE) as client:
            while not self._stop.is_set():
                at += 1
                value = float(number * 100_000 + at)
                try:
                    answer = await client.post(f"{self.urls[0]}/v2/models/echo/infer", json=infer_body([[value, 1, 1]]))
                    ok = answer.status_code == 200 and answer.json()["outputs"][1]["data"] == [value + 2]
                    self.answered += ok
                    if not ok:
                        self.lost.append(answer.text)
                except httpx.HTTPError as error:
                    self.lost.append(repr(error))


def test_no_request_is_lost_when_one_server_takes_over_from_another(tmp_path: Path) -> None:
    """A rolling update: the new one is ready, the address list changes, the old one gets SIGTERM."""
    model = echo_model(tmp_path / "echo.onnx")
    with serving(tmp_path, f"--model={model}", "--drain=0.5") as old, serving(tmp_path, f"--model={model}") as new:
        with Load([old.url]) as load:
            wait_for(lambda: load.answered > 200)
            old.process.send_signal(signal.SIGTERM)
            wait_for(lambda: any(line["event"] == "stopping" for line in old.lines()))
            load.urls[0] = new.url  # proxies learn of it a little later than the server
            assert old.process.wait(DEADLINE) == 0
            so_far = load.answered
            wait_for(lambda: load.answered > so_far + 100)
        assert load.lost == []
        assert old.lines()[-1]["event"] == "stopped"
        assert old.lines()[-1]["lost"] == 0


def test_requests_in_flight_are_answered_before_the_end(tmp_path: Path) -> None:
    model = slow_model(tmp_path / "slow.onnx")
    with serving(tmp_path, f"--model={model}") as own:
        body = infer_body([[0.5] * 700] * 256)
        answers: list[int] = []

        def ask() -> None:
            answers.append(own.post("/v2/models/slow/infer", body).status_code)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        wait_for(lambda: own.metric("slipway_requests_in_flight") > 3)
        assert own.stop() == 0
        for thread in threads:
            thread.join()
        assert answers == [200] * 6


def test_readiness_ends_before_answers_do(tmp_path: Path) -> None:
    model = echo_model(tmp_path / "echo.onnx")
    with serving(tmp_path, f"--model={model}", "--drain=30") as own:
        own.process.send_signal(signal.SIGTERM)
        wait_for(lambda: own.get("/v2/health/ready").status_code == 503)
        assert own.get("/v2/health/ready").json()["reason"] == "the server is stopping"
        late = own.post("/v2/models/echo/infer", infer_body([[1, 2, 3]]))
        assert late.status_code == 200
        assert late.headers["connection"] == "close"
        assert own.stop() == 0  # a second signal ends the waiting


def test_killed_clients_see_a_closed_connection(tmp_path: Path) -> None:
    model = echo_model(tmp_path / "echo.onnx")
    with serving(tmp_path, f"--model={model}") as own:
        with httpx.Client(base_url=own.url, timeout=DEADLINE) as client:
            assert client.get("/v2").status_code == 200
            own.stop(signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                client.get("/v2")
        # nothing is left that would hold up the next one on the same port
        with serving(tmp_path, f"--model={model}", f"--port={own.port}") as again:
            assert again.get("/v2/health/ready").status_code == 200


def failed_start(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, the line on stderr, and the termination message of a start that must fail."""
    told = folder / "termination"
    done = subprocess.run(
        command("--port=0", f"--termination-log={told}", *words), env=environment(), capture_output=True, text=True,
        timeout=DEADLINE, cwd=folder, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1], told.read_text().strip() if told.exists() else ""


def test_a_wrong_digest_ends_the_start(tmp_path: Path) -> None:
    model = echo_model(tmp_path / "echo.onnx")
    wanted = "sha256:" + hashlib.sha256(b"another").hexdigest()
    code, line, told = failed_start(tmp_path, f"--model={model}", f"--digest={wanted}")
    assert code == 1
    assert line == told
    assert line.startswith("slipway serve: wrong digest: echo.onnx has sha256:")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04\x95\x00", "is refused: it is a pickle"),
        (b"hello", "is no model that can be served"),
        (b"", "is no model that can be served"),
    ],
)
def test_what_is_no_model_ends_the_start(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    code, line, told = failed_start(tmp_path, f"--model={tmp_path}/model.onnx")
    assert (code, told) == (1, line)
    assert message in line


def test_a_damaged_model_ends_the_start(tmp_path: Path) -> None:
    model = echo_model(tmp_path / "echo.onnx")
    model.write_bytes(model.read_bytes()[:-7])
    code, line, _ = failed_start(tmp_path, f"--model={model}")
    assert code == 1
    assert "echo.onnx" in line


def test_a_port_in_use_ends_the_start(tmp_path: Path) -> None:
    model = echo_model(tmp_path / "echo.onnx")
    with serving(tmp_path, f"--model={model}") as first:
        code, line, _ = failed_start(tmp_path, f"--model={model}", f"--port={first.port}")
        assert code == 2
        assert f"port {first.port}" in line


def test_too_little_memory_is_said_before_it_runs_out(tmp_path: Path) -> None:
    """Under a hard limit on its address space, a large model ends with a line instead of being killed."""
    from onnx import TensorProto, helper

    size = 256 << 20
    W = helper.make_tensor("W", TensorProto.FLOAT, [size // 4], bytes(size), raw=True)
    X, Y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]) for name in "XY")
    nodes = [helper.make_node("ReduceSum", ["W"], ["w"], keepdims=0), helper.make_node("Add", ["X", "w"], ["Y"])]
    graph = helper.make_graph(nodes, "large", [X], [Y], [W])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "large.onnx"
    path.write_bytes(model.SerializeToString())
    words = command("--port=0", f"--model={path}")
    done = subprocess.run(
        ["bash", "-c", f'ulimit -v {700 << 10}; exec "$@"', "-", *words], env=environment(OPENBLAS_NUM_THREADS="1"),
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "memory" in done.stderr.splitlines()[-1]


def test_the_exit_says_what_was_lost(tmp_path: Path) -> None:
    model = slow_model(tmp_path / "slow.onnx", rounds=200)
    with serving(tmp_path, f"--model={model}", "--grace=0.2") as own:
        thread = threading.Thread(target=lambda: _ask_in_vain(own))
        thread.start()
        wait_for(lambda: own.metric("slipway_requests_in_flight") > 1)
        assert own.stop() == 1
        thread.join()
        assert own.lines()[-1]["lost"] == 1


def _ask_in_vain(served: Served) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.post(
            f"{served.url}/v2/models/slow/infer", content=json.dumps(infer_body([[0.5] * 700] * 2000)), timeout=DEADLINE,
            headers={"content-type": "application/json"},
        )  # fmt: skip
