"""``slipway`` as a process of its own: what only shows there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.registry.registry import Registry
from tests.integration.cli.helpers import register

PROGRAM = "import sys; sys.argv[0] = {name!r}; from slipway.cli.main import main; main()"


def environment(registry: Registry, **more: str) -> dict[str, str]:
    source = str(Path(__file__).parents[3] / "operator")
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return kept | {"PYTHONPATH": source, "SLIPWAY_REGISTRY": registry.store.uri, "KUBECONFIG": "/nonexistent"} | more


def slipway(registry: Registry, *words: str, name: str = "slipway", **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(name=name), *words]
    return subprocess.run(command, env=environment(registry, **more), capture_output=True, text=True, timeout=60, check=False)


def test_it_calls_itself_what_the_user_typed(registry: Registry) -> None:
    assert slipway(registry, "--help").stdout.startswith("Usage: slipway ")
    assert slipway(registry, "--help", name="/usr/local/bin/kubectl-slipway").stdout.startswith("Usage: kubectl slipway ")
    bare = slipway(registry)
    assert (bare.returncode, bare.stdout) == (0, slipway(registry, "--help").stdout)


def test_errors_are_one_line_and_debug_adds_the_traceback(registry: Registry) -> None:
    plain = slipway(registry, "model", "show", "nothing")
    assert (plain.returncode, plain.stdout, plain.stderr.count("\n")) == (3, "", 1)
    debug = slipway(registry, "model", "show", "nothing", "--debug")
    assert debug.returncode == 3
    assert "Traceback" in debug.stderr
    assert debug.stderr.splitlines()[-1] == plain.stderr.strip()


def test_without_any_cluster_the_registry_works_and_the_cluster_is_asked_for(registry: Registry) -> None:
    register(registry)
    assert slipway(registry, "models", "-o", "name").stdout == "bc\n"
    result = slipway(registry, "status")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "KUBECONFIG" in result.stderr


def test_a_reader_that_goes_away_is_no_error(registry: Registry) -> None:
    for seed in range(30):
        register(registry, seed=seed)
    command = [sys.executable, "-c", PROGRAM.format(name="slipway"), "model", "versions", "bc", "-o", "json", "--limit", "100"]
    process = subprocess.Popen(command, env=environment(registry), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
    assert stderr == b""


def test_a_terminal_that_lacks_a_character_breaks_nothing(registry: Registry) -> None:
    register(registry)
    registry.move_alias("default/bc", "champion", 1, by="ann", reason="größer → besser")
    result = slipway(registry, "history", "bc@champion", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert result.returncode == 0
    assert "champion" not in result.stderr


def test_the_commands_of_a_laptop_need_no_package_of_the_operator(registry: Registry) -> None:
    register(registry)
    packages = ["lightkube", "kopf", "aiohttp", "numpy", "onnxruntime", "grpc", "uvloop", "httptools"]
    blocked = f"import sys; sys.modules.update(dict.fromkeys({packages}));"
    command = [sys.executable, "-c", blocked + PROGRAM.format(name="slipway")]
    env = environment(registry)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], env=env, capture_output=True, text=True, timeout=60, check=False)

    for line in ("models", "model show bc", "artifacts bc", "history bc", "logs bc", "probe", "version"):
        result = run(*line.split())
        assert result.returncode == 0, result.stderr
    needs = run("status", "--context", "x")
    assert needs.returncode != 0
    assert needs.stderr.count("\n") == 1


# ---- completion in a real bash ----


@pytest.fixture
def bash(registry: Registry, tmp_path: Path) -> Path:
    if shutil.which("bash") is None:
        pytest.fail("these tests need bash")
    program = tmp_path / "bin" / "slipway"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n" + PROGRAM.format(name="slipway") + "\n")
    program.chmod(0o755)
    return program.parent


def complete(registry: Registry, folder: Path, line: str) -> list[str]:
    """What bash offers for `line` when TAB is pressed at its end."""
    script = (
        "source <(slipway completion bash)\n"
        'COMP_LINE="$1" COMP_POINT=${#1}\n'
        "_slipway_completion\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    env = environment(registry, PATH=f"{folder}:{os.environ['PATH']}")
    command = ["bash", "--norc", "-c", script, "bash", line]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    return [word for word in done.stdout.splitlines() if word]


def test_bash_completes_commands_models_aliases_and_versions(registry: Registry, bash: Path) -> None:
    register(registry)
    register(registry, seed=1)
    register(registry, "default/iris")
    register(registry, "team/fraud")
    registry.move_alias("default/bc", "champion", 1, by="ann")
    registry.move_alias("default/bc", "best", 2, by="ann")
    assert complete(registry, bash, "slipway mod") == ["models", "model"]
    assert complete(registry, bash, "slipway model sh") == ["show"]
    assert complete(registry, bash, "slipway model show ") == ["bc", "iris"]
    assert complete(registry, bash, "slipway model show b") == ["bc"]
    assert complete(registry, bash, "slipway model show team/f") == ["team/fraud"]
    assert complete(registry, bash, "slipway -n team model show ") == ["fraud"]
    # bash has already put 'bc@' on the line, because it breaks words there
    assert complete(registry, bash, "slipway history bc@") == ["best", "champion"]
    assert complete(registry, bash, "slipway history bc@ch") == ["champion"]
    assert complete(registry, bash, "slipway artifacts bc:") == ["2", "1"]
    assert "--reason" in complete(registry, bash, "slipway rollback --re")
    assert complete(registry, bash, "slipway models -o ") == ["table", "wide", "json", "yaml", "name"]
    assert complete(registry, bash, "slipway model show bc -o ") == ["table", "json", "yaml", "name"]
    assert complete(registry, bash, "slipway models --after b") == ["bc"]


def test_completion_is_silent_where_nothing_can_be_had(registry: Registry, bash: Path) -> None:
    assert complete(registry, bash, "slipway model show ") == []
    assert complete(registry, bash, "slipway rollback ") == []
    assert complete(registry, bash, "slipway --registry https://nonsense model show ") == []
