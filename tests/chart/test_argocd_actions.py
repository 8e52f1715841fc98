"""The actions on a ModelDeployment in a Lua runtime, as Argo CD would run them: what they write is what the operator reads."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from slipway.api.rollout import ANNOTATION_ROLLOUT, Order
from tests.chart.helm import ROOT

ACTIONS = ROOT / "manifests/argocd/resource_customizations/slipway.dev/ModelDeployment/actions"
SINCE = "2026-11-03T12:00:00Z"
CANDIDATE = {"revision": "r2", "version": 2, "since": SINCE, "step": 0}
HELD = {"revision": "r2", "version": 2, "since": SINCE}


def run(script: str, resource: dict[str, Any]) -> Any:
    lua = LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    for name in ("io", "string", "math", "coroutine", "package", "debug", "require", "dofile", "loadfile"):
        lua.globals()[name] = None
    lua.globals().obj = lua.table_from(resource, recursive=True)
    return lua.execute((ACTIONS / script).read_text())


def deployment(annotations: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": "m"} | ({"annotations": annotations} if annotations is not None else {})
    return {"kind": "ModelDeployment", "metadata": meta, "status": status}


def offered(resource: dict[str, Any]) -> set[str]:
    found = run("discovery.lua", resource)
    return {str(name) for name, action in found.items() if not action.disabled}


def order(action: str, resource: dict[str, Any]) -> Order:
    changed = run(f"{action}/action.lua", resource)
    parsed = Order.parse(changed.metadata.annotations[ANNOTATION_ROLLOUT])
    assert parsed is not None
    return parsed


def test_only_what_can_be_done_is_offered() -> None:
    assert offered(deployment()) == set()
    assert offered({"kind": "ModelDeployment", "metadata": {"name": "m"}}) == set()
    assert offered(deployment(candidate=CANDIDATE)) == {"promote", "promote-full", "abort", "pause"}
    assert offered(deployment(held=HELD)) == {"retry"}
    paused = deployment(candidate=CANDIDATE, conditions=[{"type": "Ready", "status": "False", "reason": "RolloutPaused"}])
    assert offered(paused) == {"promote", "promote-full", "abort", "resume"}


@pytest.mark.parametrize("annotations", [None, {}, {"other": "kept"}])
@pytest.mark.parametrize("action", ["abort", "pause", "resume"])
def test_an_action_is_an_order_about_this_candidate(action: str, annotations: dict[str, str] | None) -> None:
    found = order(action, deployment(annotations, candidate=CANDIDATE))
    assert found == Order.model_validate({"action": action, "revision": "r2", "since": SINCE, "by": "Argo CD"})


def test_promote_lets_the_next_step_begin_and_promote_full_all() -> None:
    assert order("promote", deployment(candidate=CANDIDATE)).step == 1
    first = {key: value for key, value in CANDIDATE.items() if key != "step"}
    assert order("promote", deployment(candidate=first)).step == 0
    full = order("promote-full", deployment(candidate=CANDIDATE))
    assert (full.action, full.step) == ("promote", None)


def test_retry_is_about_what_is_held() -> None:
    found = order("retry", deployment(held=HELD))
    assert (found.action, found.revision, found.since) == ("retry", "r2", SINCE)


def test_the_config_map_defines_every_action() -> None:
    data = yaml.safe_load((ROOT / "manifests/argocd/argocd-cm.yaml").read_text())["data"]
    actions = yaml.safe_load(data["resource.customizations.actions.slipway.dev_ModelDeployment"])
    assert {definition["name"] for definition in actions["definitions"]} == {
        path.parent.name for path in ACTIONS.glob("*/action.lua")
    }
    assert actions["discovery.lua"] == (ACTIONS / "discovery.lua").read_text()
