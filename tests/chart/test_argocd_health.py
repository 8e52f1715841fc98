"""The health scripts in a Lua runtime, as Argo CD would run them: their own test cases, and every reason there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from slipway.api import conditions
from tests.chart.helm import ROOT

SCRIPTS = ROOT / "manifests/argocd/resource_customizations/slipway.dev"
KINDS = ("ModelBuild", "AppBuild", "ModelDeployment", "FeatureView")
STATES = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}


def health(kind: str, resource: dict[str, Any]) -> tuple[str, str]:
    """Status and message. Lua 5.1 and no libraries but those that Argo CD opens by itself."""
    lua = LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    for name in ("io", "string", "math", "coroutine", "package", "debug", "require", "dofile", "loadfile"):
        lua.globals()[name] = None
    lua.globals().obj = lua.table_from(resource, recursive=True)
    found = lua.execute((SCRIPTS / kind / "health.lua").read_text())
    return str(found.status), str(found.message)


def cases() -> Iterator[Any]:
    for kind in KINDS:
        for case in yaml.safe_load((SCRIPTS / kind / "health_test.yaml").read_text())["tests"]:
            yield pytest.param(kind, case, id=f"{kind}-{Path(case['inputPath']).stem}")


@pytest.mark.parametrize(("kind", "case"), list(cases()))
def test_a_case_of_the_script(kind: str, case: dict[str, Any]) -> None:
    resource = yaml.safe_load((SCRIPTS / kind / case["inputPath"]).read_text())
    assert resource["kind"] == kind
    assert health(kind, resource) == (case["healthStatus"]["status"], case["healthStatus"]["message"])


@pytest.mark.parametrize("kind", KINDS)
def test_no_input_lies_there_unused(kind: str) -> None:
    named = {case["inputPath"] for case in yaml.safe_load((SCRIPTS / kind / "health_test.yaml").read_text())["tests"]}
    assert named == {f"testdata/{path.name}" for path in (SCRIPTS / kind / "testdata").iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_reasons_in_test_cases_are_reasons_that_there_are(kind: str) -> None:
    for path in (SCRIPTS / kind / "testdata").iterdir():
        for condition in yaml.safe_load(path.read_text()).get("status", {}).get("conditions", ()):
            assert condition["reason"] in conditions.REASONS, f"{path.name}: {condition['reason']}"


def resource(kind: str, reason: str, status: str, *, stalled: bool = False, seen: int = 1) -> dict[str, Any]:
    found = [{"type": "Ready", "status": status, "reason": reason, "message": "m"}]
    if stalled:
        found.append({"type": "Stalled", "status": "True", "reason": reason, "message": "m"})
    return {"kind": kind, "metadata": {"generation": 1}, "status": {"observedGeneration": seen, "conditions": found}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reason", sorted(conditions.REASONS))
def test_any_reason_has_a_health(kind: str, reason: str) -> None:
    for status in ("True", "False", "Unknown"):
        state, message = health(kind, resource(kind, reason, status))
        assert state in STATES
        assert message == f"{reason}: m"
        assert (state == "Healthy") <= (status == "True"), "never green before it is done"
    assert health(kind, resource(kind, reason, "False", stalled=True))[0] in ("Degraded", "Suspended")
    assert health(kind, resource(kind, reason, "True", seen=0))[0] == "Progressing", "an old status says nothing"
