from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.kubeconfig import KubeContext, check_whole, context_names, current


def write(path: Path, current_context: str | None = None, **contexts: dict[str, Any]) -> Path:
    config: dict[str, Any] = {
        "contexts": [{"name": name, "context": body} for name, body in contexts.items()],
        "clusters": [{"name": body["cluster"], "cluster": {}} for body in contexts.values()],
        "users": [{"name": body["user"], "user": {}} for body in contexts.values()],
    }
    if current_context:
        config["current-context"] = current_context
    path.write_text(yaml.safe_dump(config))
    return path


def context(namespace: str = "", user: str = "ann") -> dict[str, Any]:
    return {"cluster": "c", "user": user} | ({"namespace": namespace} if namespace else {})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_without_kubeconfig_there_is_no_context(tmp_path: Path) -> None:
    assert current(None, None, {}) == KubeContext()
    assert current(None, None, {"KUBECONFIG": str(tmp_path / "absent")}) == KubeContext()
    assert context_names(None, {}) == []


def test_the_default_file_is_in_the_home_folder(home: Path) -> None:
    (home / ".kube").mkdir(parents=True)
    path = write(home / ".kube" / "config", "a", a=context("team"))
    assert current(None, None, {}) == KubeContext("a", "team", "ann", path)


def test_the_first_of_several_files_wins_as_with_kubectl(tmp_path: Path) -> None:
    one = write(tmp_path / "one", None, a=context("from-one"))
    two = write(tmp_path / "two", "b", a=context("from-two"), b=context("of-b", "bob"))
    env = {"KUBECONFIG": f"{one}:{tmp_path}/absent::{two}"}
    assert current(None, None, env) == KubeContext("b", "of-b", "bob", two)
    assert current(None, "a", env) == KubeContext("a", "from-one", "ann", one)
    assert context_names(None, env) == ["a", "b"]
    assert current(str(two), "a", env).namespace == "from-two"


def test_a_context_without_namespace_names_none(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a", a=context())
    assert current(str(path), None, {}).namespace is None


def test_no_current_context_is_no_error_until_one_is_needed(tmp_path: Path) -> None:
    assert current(str(write(tmp_path / "config", a=context())), None, {}) == KubeContext()


def test_a_context_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "gone", a=context(), b=context())
    with pytest.raises(CliError, match=r"no context 'gone' .* \(there is: a, b\)") as caught:
        current(str(path), None, {})
    assert caught.value.code == ExitCode.USAGE


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="there is no such file"):
        current(str(tmp_path / "absent"), None, {})


@pytest.mark.parametrize("text", ["a: [", "\x00", "- a\n- b\n", "just words"])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(CliError, match=str(path)):
        current(str(path), None, {})


@pytest.mark.parametrize("text", ["", "contexts:\n", "contexts: {}\n", "contexts: [1, {name: 7}, {context: {}}]\n"])
def test_odd_files_hold_no_context(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    assert current(str(path), None, {}) == KubeContext()


def test_a_context_in_parts_over_several_files_is_refused_with_the_fix(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", "a", a=context())
    check_whole(current(str(whole), None, {}))
    check_whole(KubeContext())
    part = tmp_path / "part"
    part.write_text(yaml.safe_dump({"current-context": "a", "contexts": [{"name": "a", "context": context()}]}))
    with pytest.raises(CliError, match="cluster 'c', which is not in that file: kubectl config view --flatten"):
        check_whole(current(str(part), None, {}))
