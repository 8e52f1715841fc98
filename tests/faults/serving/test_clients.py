"""Clients that behave badly: each is dealt with, and the others do not notice."""

from __future__ import annotations

import json
import math
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from tests.fakes.serving import DEADLINE, Served, infer_body, serving, slow_model, unique_model, wait_for

HEAD = b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def connect(served: Served) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def answer_of(one: socket.socket) -> tuple[int, bytes]:
    """Status and body of what arrives until the server closes."""
    data = b""
    with suppress(ConnectionError):
        while piece := one.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.fixture(autouse=True)
def others_do_not_notice(served: Served) -> Iterator[None]:
    yield
    answer = served.post("/v2/models/echo/infer", infer_body([[1, 2, 3]]))
    assert answer.json()["outputs"][1]["data"] == [6.0]


def _drip(one: socket.socket, data: bytes) -> tuple[int, bytes]:
    """Sends a byte now and then until the server has had enough."""
    with selectors.DefaultSelector() as answers:
        answers.register(one, selectors.EVENT_READ)
        end = time.monotonic() + DEADLINE
        for at in range(len(data)):
            if answers.select(0.1):
                return answer_of(one)
            assert time.monotonic() < end
            one.send(data[at : at + 1])
    raise AssertionError("it took everything")


def test_a_head_that_drips_in_is_ended(served: Served) -> None:
    with closing(connect(served)) as one:
        status, body = _drip(one, b"GET /v2 HTTP/1.1\r\nhost: " + b"a" * 1000)
    assert status == 408
    assert b"head: not all there" in body


def test_a_body_that_drips_in_is_ended(served: Served) -> None:
    with closing(connect(served)) as one:
        one.sendall(HEAD % 5000)
        status, body = _drip(one, b" " * 5000)
    assert status == 408
    assert b"body: not all there" in body


def test_a_client_that_never_reads_is_dropped(served: Served) -> None:
    """Its answers fill the socket; then nothing more is taken from it, and it is cut off."""
    body = json.dumps(infer_body([[1.5, 2.5, 3.5]] * 2000)).encode()
    request = HEAD % len(body) + body
    with closing(connect(served)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(0.2)

        def cut_off() -> bool:
            try:
                one.sendall(request)
            except TimeoutError:
                return False
            except ConnectionError:
                return True
            return False

        wait_for(cut_off)


def test_ten_thousand_idle_connections(served: Served) -> None:
    """They cost little memory, and the server answers as before."""
    before = _memory(served)
    idle = []
    try:
        for _ in range(10_000):
            idle.append(connect(served))
        answer = served.post("/v2/models/echo/infer", infer_body([[1, 2, 3]]))
        assert answer.status_code == 200
        assert (_memory(served) - before) / len(idle) < 16 << 10, "bytes of each idle connection"
    finally:
        for one in idle:
            one.close()


def test_more_connections_than_allowed_are_told(tmp_path: Path, echo: Path) -> None:
    with serving(tmp_path, f"--model={echo}", "--max-connections=20") as own:
        kept = [connect(own) for _ in range(20)]
        try:
            wait_for(lambda: _refused(own))
        finally:
            for one in kept:
                one.close()
        wait_for(lambda: httpx.get(f"{own.url}/v2/health/live").status_code == 200)


def _refused(served: Served) -> bool:
    with closing(connect(served)) as one:
        status, body = answer_of(one)
    return status == 503 and b"connections are open" in body


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(served: Served, declared: bool) -> None:
    before = _memory(served)
    head = HEAD % (1 << 30) if declared else HEAD.replace(b"content-length: %d", b"transfer-encoding: chunked")
    with closing(connect(served)) as one:
        one.sendall(head)
        piece = b" " * 65536 if declared else b"10000\r\n" + b" " * 65536 + b"\r\n"
        with suppress(ConnectionError):
            for _ in range(512):
                one.sendall(piece)
        status, body = answer_of(one)
    assert status == 413
    assert b"at most" in body or b"more than" in body
    assert _memory(served) - before < 64 << 20


def test_a_body_that_ends_early(served: Served) -> None:
    with closing(connect(served)) as one:
        one.sendall(HEAD % 100 + b'{"inputs"')
        one.shutdown(socket.SHUT_WR)
        assert one.recv(65536) == b""
    wait_for(lambda: served.metric("slipway_requests_in_flight") == 1)  # the one that asks


def test_what_is_no_http(served: Served) -> None:
    for junk in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"{}\r\n\r\n"):
        with closing(connect(served)) as one:
            one.sendall(junk)
            one.shutdown(socket.SHUT_WR)
            status, body = answer_of(one)
            assert status == 400, junk
            assert b"not HTTP/1.1" in body


def test_both_lengths_are_refused(served: Served) -> None:
    """What request smuggling is made of."""
    with closing(connect(served)) as one:
        one.sendall(
            b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        )
        one.shutdown(socket.SHUT_WR)
        assert answer_of(one)[0] == 400


def test_a_head_without_end(served: Served) -> None:
    with closing(connect(served)) as one:
        one.sendall(b"GET /v2 HTTP/1.1\r\n")
        with suppress(ConnectionError):
            for at in range(3000):
                one.sendall(b"x-%d: %s\r\n" % (at, b"a" * 100))
        assert answer_of(one)[0] == 431


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    bodies = [json.dumps(infer_body([[at, 0, 0]])).encode() for at in range(100)]
    with closing(connect(served)) as one:
        one.sendall(b"".join(HEAD % len(body) + body for body in bodies[:-1]))
        one.sendall((HEAD % len(bodies[-1])).replace(b"host: test", b"connection: close") + bodies[-1])
        data = b""
        while piece := one.recv(65536):
            data += piece
    found = [json.loads(part[part.index(b"{") : part.rindex(b"}") + 1]) for part in data.split(b"HTTP/1.1 200 OK")[1:]]
    assert [answer["outputs"][1]["data"][0] for answer in found] == list(range(100))


BAD_BODIES = [
    (b"", "body: empty"),
    (b"{", "body: not JSON"),
    (b"[" * 200_000, "body: "),
    (b"null", "body: a JSON object"),
    (b'{"inputs":[]}', "inputs: empty"),
    (b'{"inputs":[{"name":"Z","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}', "inputs[0].name: no input 'Z'"),
    (b'{"inputs":[{"name":"X","shape":[0,3],"datatype":"FP32","data":[]}]}', "inputs[0].shape[0]: 0"),
    (b'{"inputs":[{"name":"X","shape":[-1,3],"datatype":"FP32","data":[]}]}', "inputs[0].shape[0]: -1"),
    (b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}', "inputs[0].shape: [1, 4]"),
    (b'{"inputs":[{"name":"X","shape":[99999999999,3],"datatype":"FP32","data":[1]}]}', "inputs[0].shape[0]"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP33","data":[1,2,3]}]}', "inputs[0].datatype: 'FP33'"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,2]}]}', "inputs[0].data: 2 values"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,2,NaN]}]}', "NaN and Infinity are no JSON"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,2,-Infinity]}]}', "NaN and Infinity are no JSON"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,2,1e39]}]}', "inputs[0].data[2]: 1e+39 does not fit FP32"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,2,1e999]}]}', "body: "),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,true,3]}]}', "inputs[0].data[1]: true"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,"2",3]}]}', "inputs[0].data[1]: '2'"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,null,3]}]}', "inputs[0].data[1]: null"),
    (b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[[1,2],[3]]}]}', "inputs[0].data"),
    (b'\xff\xfe{"inputs":[]}', "body: not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), BAD_BODIES, ids=[message for _, message in BAD_BODIES])
def test_bad_bodies_name_the_field(served: Served, body: bytes, message: str) -> None:
    answer = httpx.post(f"{served.url}/v2/models/echo/infer", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_numbers_at_the_edge_go_through(served: Served) -> None:
    largest = 3.4028234663852886e38
    answer = served.post("/v2/models/echo/infer", infer_body([[largest, -largest, 1e-46]])).json()
    assert answer["outputs"][0]["data"] == [pytest.approx(largest), pytest.approx(-largest), 0.0]
    # what the model itself makes of it may be no number: JSON has null for that
    both = served.post("/v2/models/echo/infer", infer_body([[largest, largest, 0]])).json()
    assert both["outputs"][1]["data"] == [None]
    assert math.isfinite(both["outputs"][0]["data"][0])


def test_a_client_that_leaves_is_counted_and_forgotten(tmp_path: Path) -> None:
    model = slow_model(tmp_path / "slow.onnx")
    body = json.dumps(infer_body([[0.5] * 700] * 64)).encode()
    with serving(tmp_path, f"--model={model}") as own:
        head = (HEAD % len(body)).replace(b"/echo/", b"/slow/")
        for _ in range(20):
            with closing(connect(own)) as one:
                one.sendall(head + body)
        wait_for(lambda: own.metric("slipway_requests_in_flight") == 1, lambda: own.get("/metrics").text)
        assert own.metric("slipway_requests_waiting") == 0
        assert 'status="499"' in own.get("/metrics").text


def _memory(served: Served) -> int:
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def test_a_model_that_gives_another_number_of_rows(tmp_path: Path) -> None:
    model = unique_model(tmp_path / "unique.onnx")
    with serving(tmp_path, f"--model={model}") as own:
        assert own.post("/v2/models/unique/infer", infer_body([[5, 5]])).json()["outputs"][0]["data"] == [5.0]
        for path, body in (
            ("/v2/models/unique/infer", infer_body([[1, 2]])),
            ("/predict", {"records": [[1, 2]]}),
            ("/v1/models/unique:predict", {"instances": [[1, 1], [1, 1]]}),
        ):
            answer = own.post(path, body)
            assert answer.status_code == 500
            assert answer.json()["error"].startswith("the model failed on these inputs (request ")
        assert own.get("/v2/health/ready").status_code == 200
