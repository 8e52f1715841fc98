"""kopf's part: its settings, and that its handlers do nothing but tell the queue. kopf itself runs in the integration
tests."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import kopf

from slipway.kube.config import Connection
from slipway.reconcile import kopf_glue
from slipway.reconcile.contract import Key

CONNECTION = Connection(server="https://127.0.0.1:6443", namespace="slipway", token="secret", insecure=True)


def test_kopf_writes_nothing_and_needs_no_rights_beyond_ours() -> None:
    chosen = kopf_glue.settings()
    assert not chosen.posting.enabled
    assert chosen.scanning.disabled
    assert chosen.peering.standalone
    assert chosen.persistence.finalizer.startswith("slipway.dev/")
    assert isinstance(chosen.watching.server_timeout, int), "the API server refuses 300.0"
    assert chosen.watching.client_timeout is not None
    assert chosen.watching.client_timeout > chosen.watching.server_timeout
    assert chosen.networking.request_timeout == 30


def test_only_low_level_events_are_handled() -> None:
    handlers = kopf_glue.registry(lambda _key: None, lambda: CONNECTION)
    assert handlers._changing.get_all_handlers() == []
    assert handlers._spawning.get_all_handlers() == []
    watched = {str(handler.selector) for handler in handlers._watching.get_all_handlers()}
    assert len(watched) == 6
    assert len(handlers._indexing.get_all_handlers()) == 1


async def test_an_event_becomes_keys() -> None:
    added: list[Key] = []
    handlers = kopf_glue.registry(added.append, lambda: CONNECTION)
    handler = next(h for h in handlers._watching.get_all_handlers() if "appbuilds" in str(h.selector))
    body: Any = {"kind": "AppBuild", "metadata": {"name": "api", "namespace": "ns"}}
    await handler.fn(body=body, model_deployments={"ns": ["web"]})  # type: ignore[call-arg, misc]
    assert added == [Key("AppBuild", "ns", "api"), Key("ModelDeployment", "ns", "web")]


async def test_the_login_is_that_of_our_own_client() -> None:
    handlers = kopf_glue.registry(lambda _key: None, lambda: CONNECTION)
    (handler,) = handlers._activities.get_all_handlers()
    info = await handler.fn()  # type: ignore[call-arg, misc]
    assert isinstance(info, kopf.ConnectionInfo)
    assert (info.server, info.token, info.insecure) == ("https://127.0.0.1:6443", "secret", True)


def test_the_glue_stays_small() -> None:
    source = Path(inspect.getfile(kopf_glue)).read_text()
    assert source.count("\n") <= 200
