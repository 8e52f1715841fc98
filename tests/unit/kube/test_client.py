"""The client against a server that answers as it likes; what real servers answer is in the contract tests."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest

from slipway.kube.client import PAGE, KubeClient
from slipway.kube.port import Object, Rejected, Unavailable
from slipway.kube.resources import CONFIG_MAP, JOB

Answer = Callable[[httpx2.Request], httpx2.Response]


class Server:
    """Answers with `answer`, and remembers what was asked."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[httpx2.Request] = []
        self.told: list[tuple[str, str, int | None]] = []

        def handle(request: httpx2.Request) -> httpx2.Response:
            self.asked.append(request)
            return answer(request)

        http = httpx2.AsyncClient(base_url="http://api.test", transport=httpx2.MockTransport(handle))
        self.client = KubeClient(http, on_request=lambda m, v, c, _s: self.told.append((m, v, c)))


def raising(error: Exception) -> Answer:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise error

    return answer


def config_map(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "ns"}}


async def test_a_long_list_is_read_in_pages() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        more = request.url.params.get("continue")
        name, token = ("two", "") if more else ("one", "next")
        return httpx2.Response(200, json={"items": [config_map(name)], "metadata": {"continue": token}})

    server = Server(answer)
    found = await server.client.list(CONFIG_MAP, "ns", {"b": "2", "a": "1"})
    assert [obj["metadata"]["name"] for obj in found] == ["one", "two"]
    assert {obj["kind"] for obj in found} == {"ConfigMap"}
    first = server.asked[0].url
    assert first.path == "/api/v1/namespaces/ns/configmaps"
    assert dict(first.params) == {"limit": str(PAGE), "labelSelector": "a=1,b=2"}


async def test_a_list_whose_pages_expire_is_begun_anew() -> None:
    expired = iter([True, False])

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.params.get("continue") and next(expired):
            return httpx2.Response(410, json={"message": "continue token expired"})
        token = "" if request.url.params.get("continue") else "next"
        return httpx2.Response(200, json={"items": [config_map("x")], "metadata": {"continue": token}})

    assert len(await Server(answer).client.list(CONFIG_MAP, None)) == 2


async def test_a_list_that_always_expires_is_given_up() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.params.get("continue"):
            return httpx2.Response(410, json={})
        return httpx2.Response(200, json={"items": None, "metadata": {"continue": "next"}})

    with pytest.raises(Unavailable, match="expired"):
        await Server(answer).client.list(CONFIG_MAP, None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx2.ConnectError("refused by 10.0.0.1 in try 17"), "cannot be reached"),
        (httpx2.ReadTimeout("slow"), "in time"),
        (httpx2.RemoteProtocolError("half an answer"), "cannot be reached"),
        (httpx2.PoolTimeout("busy"), "in time"),
    ],
)
async def test_no_answer_is_unavailable_in_words_that_stay_the_same(error: Exception, words: str) -> None:
    server = Server(raising(error))
    with pytest.raises(Unavailable, match=words) as raised:
        await server.client.get(JOB, "ns", "train")
    assert "get Job ns/train" in str(raised.value)
    assert "17" not in str(raised.value)
    assert server.told == [("GET", "get", None)]


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b'{"a":'])
async def test_an_answer_that_makes_no_sense_is_unavailable(content: bytes) -> None:
    with pytest.raises(Unavailable):
        await Server(lambda _r: httpx2.Response(200, content=content)).client.get(JOB, "ns", "train")


async def test_applying_forces_as_its_field_manager_and_refuses_unknown_fields() -> None:
    server = Server(lambda _r: httpx2.Response(200, json={"metadata": {}}))
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train", "namespace": "ns"}}
    await server.client.apply(manifest, field_manager="slipway-model-build")
    (request,) = server.asked
    assert request.method == "PATCH"
    assert request.url.path == "/apis/batch/v1/namespaces/ns/jobs/train"
    assert request.headers["content-type"] == "application/apply-patch+yaml"
    expected = {"fieldManager": "slipway-model-build", "force": "true", "fieldValidation": "Strict"}
    assert dict(request.url.params) == expected
    await server.client.apply_status({**manifest, "status": {}}, field_manager="x")
    assert server.asked[1].url.path.endswith("/jobs/train/status")


async def test_deleting_names_uid_and_propagation() -> None:
    server = Server(lambda _r: httpx2.Response(200, json={}))
    await server.client.delete(JOB, "ns", "train", uid="u-1", propagation="Foreground")
    sent = json.loads(server.asked[0].content)
    assert sent["preconditions"] == {"uid": "u-1"}
    assert sent["propagationPolicy"] == "Foreground"


async def test_a_manifest_without_a_namespace_is_refused_before_it_is_sent() -> None:
    server = Server(lambda _r: httpx2.Response(200, json={}))
    with pytest.raises(Rejected, match="namespace"):
        await server.client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    assert not server.asked


async def test_of_a_long_log_the_end_is_kept() -> None:
    log = b"".join(b"%06d\n" % n for n in range(100_000))
    server = Server(lambda _r: httpx2.Response(200, content=log))
    tail = await server.client.pod_log("ns", "pod", "main", tail_bytes=700)
    assert tail == log[-700:]
    assert server.asked[0].url.params["container"] == "main"


@pytest.mark.parametrize("code", [204, 400, 404])
async def test_a_log_that_is_not_there_is_none(code: int) -> None:
    server = Server(lambda _r: httpx2.Response(code))
    assert await server.client.pod_log("ns", "pod", "main", tail_bytes=10, previous=True) is None
    assert server.asked[0].url.params["previous"] == "true"


async def test_a_log_of_a_node_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await Server(lambda _r: httpx2.Response(502)).client.pod_log("ns", "pod", "main", tail_bytes=10)
    with pytest.raises(Unavailable):
        await Server(raising(httpx2.ReadError("cut"))).client.pod_log("ns", "pod", "main", tail_bytes=10)


async def test_each_request_is_told_with_its_code() -> None:
    server = Server(lambda _r: httpx2.Response(503, json={}))
    with pytest.raises(Unavailable):
        await server.client.get(JOB, "ns", "train")
    assert server.told == [("GET", "get", 503)]
