"""What is said when a machine lacks something that the bare cluster needs."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from local import preflight, providers
from local.errors import CommandError, LocalError, PreflightError
from tests.unit.local.support import quiet, settings


def test_missing_programs_are_named_by_the_packages_that_have_them(tmp_path: Path) -> None:
    have = set(preflight.DEBIAN) - {"runc", "ctr", "containerd"}
    found = preflight.missing_packages(lambda program: program in have, plugins=(tmp_path,))
    assert found == ["containerd", "containernetworking-plugins", "runc"]


def test_the_registry_may_come_from_elsewhere(tmp_path: Path) -> None:
    for plugin in ("bridge", "host-local", "loopback", "portmap"):
        (tmp_path / plugin).touch()
    have = (set(preflight.DEBIAN) - {"docker-registry"}) | {"registry"}
    assert preflight.missing_packages(lambda program: program in have, plugins=(tmp_path,)) == []


def test_without_root_the_other_providers_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PreflightError, match=r"sudo.*kind"):
        preflight.check(settings(tmp_path), quiet())


def test_another_system_than_linux_is_sent_to_kind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(PreflightError, match="kind"):
        preflight.check(settings(tmp_path), quiet())


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "missing_packages", lambda: ["runc"])
    monkeypatch.setattr(preflight, "_memory", lambda: ["300 MB of memory are free"])
    monkeypatch.setattr(preflight, "_other_cluster", lambda: ["another kubelet runs"])
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    with pytest.raises(PreflightError) as found:
        preflight.check(settings(deep), quiet(), install=False)
    told = "\n".join(found.value.problems)
    for words in ("runc", "300 MB", "XDG_CACHE_HOME", "another kubelet"):
        assert words in told


def test_a_kernel_that_refuses_something_is_told_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], **_more: object) -> str:
        if "type bridge" in argv[-1]:
            raise CommandError(argv, 2, "RTNETLINK answers: Operation not supported")
        return ""

    monkeypatch.setattr(preflight, "run", run)
    found = preflight.kernel_problems()
    assert [problem for problem in found if "bridge" in problem and "not supported" in problem]
    assert not [problem for problem in found if "veth" in problem]


def test_an_unknown_provider_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LocalError, match="bare, kind, current"):
        providers.provider("docker")
