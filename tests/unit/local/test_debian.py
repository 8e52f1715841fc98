"""Packages of Debian: installed when that can be done, said when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local import debian
from local.errors import CommandError, PreflightError


class Apt:
    """Knows no package before its lists are updated, when `lists` are old."""

    def __init__(self, *, lists_are_old: bool = True, offline: bool = False) -> None:
        self.ran: list[str] = []
        self._old, self._offline = lists_are_old, offline

    def __call__(self, argv: list[str], *, cwd: Path | None = None, **_more: Any) -> str:
        self.ran.append(" ".join(argv))
        if argv[:2] == ["apt-get", "update"] and not self._offline:
            self._old = False
        elif argv[0] == "apt-get" and (self._old or self._offline):
            raise CommandError(argv, 100, "E: Unable to locate package")
        elif argv[:2] == ["apt-get", "download"]:
            assert cwd is not None
            (cwd / "some_1.0_amd64.deb").touch()
        elif argv[0] == "dpkg":
            Path(argv[-1]).mkdir()
        return ""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_old_lists_are_updated_and_services_are_not_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt()
    monkeypatch.setattr(debian, "run", apt)
    debian.install(["docker-registry", "socat"])
    install = "apt-get install -y --no-install-recommends docker-registry socat"
    assert apt.ran == [install, "apt-get update", install, "systemctl disable --now --quiet docker-registry"]


def test_what_cannot_be_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "run", Apt(offline=True))
    monkeypatch.setattr(debian, "find", lambda _program: None)
    monkeypatch.setattr(debian, "can_install", lambda: True)
    with pytest.raises(PreflightError, match=r"docker-registry failed.*Unable to locate"):
        debian.installed("docker-registry", "docker-registry")


def test_without_the_right_to_install_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "find", lambda _program: None)
    monkeypatch.setattr(debian, "can_install", lambda: False)
    with pytest.raises(PreflightError, match="apt-get install docker-registry"):
        debian.installed("docker-registry", "docker-registry")


def test_packages_are_unpacked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt(lists_are_old=False)
    monkeypatch.setattr(debian, "run", apt)
    first = debian.unpacked("some", ["some"])
    assert first.is_dir()
    assert [words.split()[0] for words in apt.ran] == ["apt-get", "dpkg"]
    assert debian.unpacked("some", ["some"]) == first
    assert len(apt.ran) == 2
