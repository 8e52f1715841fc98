"""Run events at a real HTTP receiver that holds them against OpenLineage's own schema."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from slipway.reconcile import openlineage
from slipway.reconcile.openlineage import RunEventSender, run_id
from slipway.reconcile.runs import Dataset, RunEvent, RunState

SCHEMA = json.loads((Path(__file__).parents[2] / "data/openlineage/OpenLineage-2-0-2.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
START = RunEvent(
    state=RunState.START,
    at=datetime(2026, 11, 3, 12, tzinfo=UTC),
    build_id="sha256:" + "b" * 64,
    attempt=1,
    namespace="default",
    job="breast-cancer",
    inputs=(Dataset("s3://data", "train.parquet", version="sha256:" + "d" * 64, size=10),),
    source="https://git.example.com/ml.git",
    commit="c" * 40,
)
COMPLETE = replace(
    START,
    state=RunState.COMPLETE,
    inputs=(replace(START.inputs[0], rows=455),),
    outputs=(Dataset("s3://slipway", "models/default/breast-cancer", version="7", size=1000),),
)
FAIL = replace(START, state=RunState.FAIL, reason="TrainingFailed", message="ValueError: no rows\n" * 1000)


@dataclass
class Receiver:
    """Takes events on /api/v1/lineage as Marquez does. `answer` is the status it gives; `slow` seconds before it does."""

    answer: int = 201
    slow: float = 0.0
    got: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    url: str = ""

    def take(self, path: str, body: bytes, key: str | None) -> int:
        event = json.loads(body)
        self.problems += [error.message for error in VALIDATOR.iter_errors(event)]
        if path != "/api/v1/lineage":
            self.problems.append(f"sent to {path}")
        self.got.append(event)
        self.keys.append(key)
        time.sleep(self.slow)
        return self.answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(made.take(self.path, body, self.headers.get("authorization")))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()


def until(fact: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_start_complete_and_fail_are_what_the_schema_says(receiver: Receiver) -> None:
    sender = RunEventSender(receiver.url, prefix="prod/")
    sender.send((START, COMPLETE, FAIL))
    sender.close(20)
    assert receiver.problems == []
    start, complete, fail = receiver.got
    assert [event["eventType"] for event in receiver.got] == ["START", "COMPLETE", "FAIL"]
    assert {event["run"]["runId"] for event in receiver.got} == {run_id(START.build_id, 1)}
    assert start["job"]["namespace"] == "prod/default"
    assert start["job"]["facets"]["sourceCodeLocation"]["version"] == START.commit
    assert start["inputs"][0]["namespace"] == "s3://data"
    assert complete["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] == 455
    assert complete["outputs"][0]["facets"]["version"]["datasetVersion"] == "7"
    assert fail["run"]["facets"]["errorMessage"]["message"].startswith("TrainingFailed: ValueError")
    assert len(fail["run"]["facets"]["errorMessage"]["message"]) <= 4096


def test_another_attempt_is_another_run() -> None:
    assert run_id(START.build_id, 1) == run_id(START.build_id, 1)
    assert run_id(START.build_id, 1) != run_id(START.build_id, 2)


def test_the_key_goes_along(receiver: Receiver) -> None:
    sender = RunEventSender(receiver.url, api_key="k3y")
    sender.send((START,))
    sender.close(20)
    assert receiver.keys == ["Bearer k3y"]


@pytest.mark.parametrize("answer", [400, 404])
def test_a_refusal_is_logged_and_the_next_event_is_sent(
    receiver: Receiver, answer: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = answer
    sender = RunEventSender(receiver.url, api_key="k3y")
    sender.send((START, COMPLETE))
    sender.close(20)
    assert len(receiver.got) == 2
    assert sender.dropped == 2
    assert "run event START of default/breast-cancer not sent" in caplog.text
    assert "k3y" not in caplog.text


def test_a_receiver_that_is_not_there_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    sender = RunEventSender("http://127.0.0.1:9")
    sender.send((START,))
    until(lambda: sender.dropped == 1)
    sender.close()
    assert "not sent" in caplog.text


def test_a_receiver_that_hangs_fills_a_short_queue_and_no_more(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openlineage, "MAX_WAITING", 5)
    receiver.slow = 1.0
    sender = RunEventSender(receiver.url)
    sender.send([START] * 50)  # returns at once: this test would time out if each were waited for
    assert sender.dropped >= 40
    sender.close(0.1)


def test_nobody_is_told_where_no_receiver_is_named() -> None:
    sender = RunEventSender()
    sender.send((START,))
    sender.close()
    assert sender.dropped == 0
