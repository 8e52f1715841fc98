"""Answers as servers and networks give them, byte by byte."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from slipway.storage.wire import Broken, Reply, Request, Wire

ASK = Request(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")


class Served:
    """A server that gives one answer per request, from a list for each connection; it ends each one after its list."""

    def __init__(self, *connections: list[bytes]) -> None:
        self.asked: list[bytes] = []
        self.taken = 0
        self._connections = list(connections)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def close(self) -> None:
        self._listening.close()
        for link in self._held:
            link.close()

    def _serve(self) -> None:
        for answers in self._connections:
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            self.taken += 1
            self._held.append(link)
            threading.Thread(target=self._answer, args=(link, answers), daemon=True).start()

    def _answer(self, link: socket.socket, answers: list[bytes]) -> None:
        with suppress(OSError):  # the test has ended
            self._answer_each(link, answers)

    def _answer_each(self, link: socket.socket, answers: list[bytes]) -> None:
        for answer in answers:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                more = link.recv(1)
                if not more:
                    return
                head += more
            self.asked.append(head)
            if answer == b"stall":
                return
            for place in range(0, len(answer), 7):  # in pieces: nothing may rely on where they end
                link.sendall(answer[place : place + 7])
        link.shutdown(socket.SHUT_RDWR)
        link.close()


@contextmanager
def served(
    *connections: list[bytes], read_timeout: float = 30.0
) -> Iterator[tuple[Served, Callable[..., list[Reply | Exception]]]]:
    server = Served(*connections)
    wire = Wire("127.0.0.1", server.port, connect_timeout=30, read_timeout=read_timeout, connections=4)
    try:
        yield server, lambda *requests: wire.exchange(list(requests) or [ASK])
    finally:
        server.close()


def ok(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + more + b"Content-Length: %d\r\nETag: x\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (ok(b"content"), b"content"),
        (ok(b""), b""),
        (ok(b"x" * 200_000), b"x" * 200_000),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"after"), b"after"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: t\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
    ],
    ids=["plain", "empty", "large", "continue", "chunked", "to the end"],
)
def test_an_answer_is_read_however_it_comes(answer: bytes, data: bytes) -> None:
    with served([answer]) as (_, exchange):
        (reply,) = exchange()
    assert isinstance(reply, Reply)
    assert (reply.status, reply.data) == (200, data)


def test_the_answer_to_head_has_no_body_whatever_it_says() -> None:
    with served([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", ok(b"next")]) as (server, exchange):
        (head,) = exchange(Request(ASK.head, bodiless=True))
        (following,) = exchange()
    assert isinstance(head, Reply)
    assert (head.headers["content-length"], head.data) == ("99", b"")
    assert isinstance(following, Reply)
    assert following.data == b"next"
    assert server.taken == 1


def test_connections_are_used_again_and_a_dead_one_is_not() -> None:
    with served([ok(b"1"), ok(b"2")], [ok(b"3")]) as (server, exchange):
        assert [reply.data for _ in range(2) for reply in exchange()] == [b"1", b"2"]  # type: ignore[union-attr]
        assert server.taken == 1
        assert [reply.data for reply in exchange()] == [b"3"]  # type: ignore[union-attr]
        assert server.taken == 2


def test_many_at_once_come_back_in_their_order() -> None:
    answers = [[ok(b"%d" % number)] * 3 for number in range(4)]
    with served(*answers) as (server, exchange):
        asks = [Request(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number) for number in range(10)]
        found = exchange(*asks)
        assert all(isinstance(reply, Reply) for reply in found)
        assert server.taken <= 4
        assert len(server.asked) == 10


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", ok(b"content")[:-3], b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n"],
    ids=["nothing", "half a head", "half a body", "another protocol", "no status"],
)
def test_what_is_no_whole_answer_is_never_taken_for_one(answer: bytes) -> None:
    with served([answer]) as (_, exchange):
        (reply,) = exchange()
    assert isinstance(reply, ConnectionError)


def test_headers_without_an_end_are_given_up() -> None:
    with served([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000]) as (_, exchange):
        (reply,) = exchange()
    assert isinstance(reply, Broken | ConnectionError)


def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    with served([b"stall"], read_timeout=0.2) as (_, exchange):
        (reply,) = exchange()
    assert isinstance(reply, TimeoutError)


def test_one_that_fails_takes_no_other_with_it() -> None:
    with served([ok(b"1")], [b""], [ok(b"3")]) as (_, exchange):
        found = exchange(ASK, ASK, ASK)
    assert sorted(reply.data for reply in found if isinstance(reply, Reply)) == [b"1", b"3"]
    assert sum(isinstance(reply, Exception) for reply in found) == 1


def test_a_child_process_takes_connections_of_its_own() -> None:
    with served([ok(b"1"), ok(b"3")], [ok(b"2")]) as (server, exchange):
        exchange()
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                (reply,) = exchange()
                os.write(writes, reply.data if isinstance(reply, Reply) else b"?")
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        assert os.read(reads, 10) == b"2"
        (reply,) = exchange()
        os.close(reads), os.close(writes)
        assert server.taken == 2
    assert isinstance(reply, Reply)
    assert reply.data == b"3"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    (reply,) = Wire("127.0.0.1", port, connect_timeout=5, read_timeout=5, connections=1).exchange([ASK])
    assert isinstance(reply, ConnectionRefusedError)
