"""Copies of requests between two real servers: what is compared, and that no user ever notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway.controllers.model_deployment.samples import Copies, parse
from slipway.serving.shadow.mirror import MAX_WAITING, THREADS
from slipway.telemetry.scrape import HttpScraper
from tests.fakes.serving import DEADLINE, Served, echo_model, infer_body, serving, wait_for

CANDIDATE = "3f9a0123456789ab"
ROW = [[1.0, 2.0, 3.0]]


def counted(served: Served, name: str) -> dict[str, float]:
    """A shadow metric of the candidate, by its result."""
    found = {}
    for family in text_string_to_metric_families(served.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and sample.labels.get("candidate") == CANDIDATE:
                found[sample.labels.get("result", "")] = sample.value
    return found


def tell(served: Served, **said: Any) -> httpx.Response:
    return served.post("/slipway/shadow", {"candidate": CANDIDATE, "percent": 100, "seconds": 600} | said)


def ask(served: Served, rows: Any = ROW) -> bytes:
    answer = served.post("/v2/models/echo/infer", infer_body(rows))
    assert answer.status_code == 200
    return answer.content


def ask_in_bytes(served: Served) -> bytes:
    """The same with binary tensors, both ways."""
    data = np.array(ROW, dtype="<f4").tobytes()
    tensor = {"name": "X", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    answer = httpx.post(f"{served.url}/v2/models/echo/infer", content=head + data, headers=headers, timeout=DEADLINE)
    assert answer.status_code == 200, answer.text
    assert "inference-header-content-length" in answer.headers
    return answer.content


@contextmanager
def pair(folder: Path, factor: float) -> Iterator[tuple[Served, Served]]:
    """A stable server, and a candidate that multiplies by another factor."""
    ours = ("--model", str(echo_model(folder / "a.onnx")), "--name=echo")
    theirs = ("--model", str(echo_model(folder / "b.onnx", factor=factor)), "--name=echo")
    with serving(folder, *theirs) as candidate, serving(folder, *ours, SLIPWAY_SHADOW=candidate.url) as stable:
        yield stable, candidate


def test_every_form_of_a_request_is_compared_and_the_answers_stay_the_same(tmp_path: Path) -> None:
    with pair(tmp_path, 1.001) as (stable, candidate):
        before = ask(stable)
        binary_before = ask_in_bytes(stable)
        assert tell(stable, tolerance=0.01).status_code == 200
        assert ask(stable) == before
        assert ask_in_bytes(stable) == binary_before
        assert httpx.post(f"{stable.url}/v1/models/echo:predict", json={"instances": ROW}).status_code == 200
        assert httpx.post(f"{stable.url}/predict", json=[{"X": ROW[0]}]).status_code == 200
        assert httpx.post(f"{stable.url}/v2/models/echo/versions/0/infer", json={}).status_code in (400, 404)
        wait_for(lambda: counted(stable, "slipway_shadow_requests_total").get("compared") == 4, stable.log.read_text)
        assert counted(stable, "slipway_shadow_rows_total") == {"agree": 4, "disagree": 0}
        assert counted(stable, "slipway_shadow_distance_total")[""] > 0
        assert candidate.metric("slipway_requests_total") >= 1


def test_a_candidate_that_answers_wrong_is_seen_and_no_user_is_told(tmp_path: Path) -> None:
    with pair(tmp_path, 2.0) as (stable, _candidate):
        before = ask(stable)
        assert tell(stable, percent=50).status_code == 200
        assert {ask(stable) for _ in range(20)} == {before}
        wait_for(lambda: counted(stable, "slipway_shadow_requests_total").get("compared") == 10, stable.log.read_text)
        assert counted(stable, "slipway_shadow_rows_total") == {"agree": 0, "disagree": 10}
        assert tell(stable, percent=0).status_code == 200
        ask(stable)
        assert counted(stable, "slipway_shadow_requests_total")["compared"] == 10


async def test_the_operator_tells_and_reads_it(tmp_path: Path) -> None:
    """What the gates are read by, against the real thing."""
    scraper = HttpScraper()
    try:
        with pair(tmp_path, 2.0) as (stable, _candidate):
            said = {"candidate": CANDIDATE, "percent": 100, "seconds": 40.0, "tolerance": 0.01}
            assert await scraper.tell([f"{stable.url}/slipway/shadow", "http://127.0.0.1:9/slipway/shadow"], said) == 1
            ask(stable, [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
            wait_for(lambda: counted(stable, "slipway_shadow_requests_total").get("compared") == 1, stable.log.read_text)
            (text,) = (await scraper.pages([f"{stable.url}/metrics"])).values()
            sample = parse(text, CANDIDATE)
            assert sample is not None
            # Y = (1, 1, 1) or (2, 2, 2), S = 3 or 6: (3 x 1 + 3) / 4 for the first row; the second one is nothing in both
            assert sample.copies == Copies(requests=1, agreed=1, rows=2, distance=1.5)
    finally:
        await scraper.close()


class Stuck(ThreadingHTTPServer):
    """A candidate that takes requests and never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Silent)
        self.let_go = threading.Event()
        self.taken: list[str] = []


class _Silent(BaseHTTPRequestHandler):
    server: Stuck

    def do_POST(self) -> None:
        self.server.taken.append(self.path)
        self.server.let_go.wait()

    def log_message(self, *_: Any) -> None:
        return None


def test_a_candidate_that_never_answers_holds_nobody_up(models: Path, tmp_path: Path) -> None:
    """Copies are given up at a rate of two in five seconds; users who waited for them, or for room in their queue, would be answered
    no sooner. So what the candidate has taken by the time that all users are answered tells whether anybody waited, however slow
    the machine is."""
    stuck, users = Stuck(), 200
    threading.Thread(target=stuck.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{stuck.server_port}"
        words = ("--model", str(models / "echo.onnx"), "--name=echo")
        with serving(tmp_path, *words, SLIPWAY_SHADOW=url) as stable, httpx.Client(timeout=DEADLINE) as client:
            before = ask(stable)
            assert tell(stable).status_code == 200
            wanted = infer_body(ROW)
            with ThreadPoolExecutor(8) as pool:
                asked = [pool.submit(client.post, f"{stable.url}/v2/models/echo/infer", json=wanted) for _ in range(users)]
                answers = {one.result().content for one in asked}
            taken = len(stuck.taken)
            assert answers == {before}
            assert taken < (users - MAX_WAITING) / 2, "they waited for copies to be given up"
            copies = counted(stable, "slipway_shadow_requests_total")
            assert copies["compared"] == copies["failed"] == 0
            assert copies["dropped"] >= users - MAX_WAITING - THREADS - len(stuck.taken), "what does not fit is not kept"
            assert counted(stable, "slipway_shadow_rows_total") == {"agree": 0, "disagree": 0}, "no answer is no disagreement"
            assert stable.stop() == 0, "and the server ends in order"
    finally:
        stuck.let_go.set()
        stuck.shutdown()
        stuck.server_close()


def test_a_candidate_that_is_not_there_is_late(models: Path, tmp_path: Path) -> None:
    with serving(tmp_path, "--model", str(models / "echo.onnx"), "--name=echo", SLIPWAY_SHADOW="http://127.0.0.1:9") as stable:
        assert tell(stable).status_code == 200
        ask(stable)
        wait_for(lambda: counted(stable, "slipway_shadow_requests_total").get("late") == 1, stable.log.read_text)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"candidate": "http://evil"}, "candidate"),
        ({"candidate": None}, "candidate"),
        ({"percent": 101}, "percent"),
        ({"percent": True}, "percent"),
        ({"seconds": 0}, "seconds"),
        ({"tolerance": "a"}, "tolerance"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, shadowed: Served, said: dict[str, Any], word: str) -> None:
    answer = tell(shadowed, **said)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


@pytest.fixture(scope="module")
def shadowed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("shadowed")
    keys = folder / "keys"
    keys.write_text("a-key-that-nobody-guesses\n")
    words = ("--model", str(models / "echo.onnx"), "--name=echo", f"--api-key-file={keys}")
    with serving(folder, *words, SLIPWAY_SHADOW="http://127.0.0.1:9") as served:
        yield served


def test_it_is_told_without_an_api_key_and_gives_none_away(shadowed: Served) -> None:
    assert tell(shadowed).status_code == 200
    assert httpx.post(f"{shadowed.url}/v2/models/echo/infer", json=infer_body(ROW)).status_code == 401


def test_without_a_place_for_copies_there_is_no_such_endpoint(both: Served) -> None:
    assert tell(both).status_code == 404
