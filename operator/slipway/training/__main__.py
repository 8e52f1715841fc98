"""``python -m slipway.training [run|fetch|collect]``: the training Job's containers. See docs/training.md.

Reads SLIPWAY_ATTEMPT (``<build id>/<number>``), SLIPWAY_REGISTRY and the AWS variables. Exit codes: 0 done, 1 the attempt
failed (its result says why), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from slipway.registry.records import AttemptResult
from slipway.settings import environment
from slipway.storage import StorageError, open_stores
from slipway.training import attempt
from slipway.training.contract import parse_attempt
from slipway.training.failures import failure_of, without_secrets
from slipway.training.layout import ROOT, Workspace
from slipway.training.log import LogFile, standard_output
from slipway.training.process import Stop, hide_own_environment

_LOGS = {"run": "train.log", "fetch": "fetch.log", "collect": "collect.log"}


def main(arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Runs one phase. See the module for the exit codes."""
    parser = argparse.ArgumentParser(prog="python -m slipway.training", description="Runs inside the training Job.")
    parser.add_argument("phase", nargs="?", default="run", choices=("run", "fetch", "collect"))
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder shared by the pod's containers")
    parser.add_argument(
        "--termination-log", type=Path, default=Path("/dev/termination-log"), help="where Kubernetes reads the last words"
    )
    options = parser.parse_args(arguments)
    named = parse_attempt(variables.get("SLIPWAY_ATTEMPT", ""))
    if named is None:
        parser.error("SLIPWAY_ATTEMPT must be <build id: 64 hex digits>/<attempt number>")
    uri = variables.get("SLIPWAY_REGISTRY", "")
    try:
        pod = _pod(options.phase, options.root, uri, *named, variables)
    except (StorageError, OSError) as error:
        parser.error(f"SLIPWAY_REGISTRY={uri!r}: {error}" if isinstance(error, StorageError) else str(error))
    pod.stop.on_signals()
    hide_own_environment()
    try:
        result = {"run": attempt.run, "fetch": attempt.fetch, "collect": attempt.collect}[options.phase](pod)
    except Exception as error:  # the result could not be written: the pod's status is what is left to speak by
        failure = failure_of(error)
        pod.tell(f"failed, and the result could not be written: {failure.reason}: {failure.message}")
        _last_words(options.termination_log, f"{failure.reason}: {without_secrets(failure.message, variables)}")
        return 1
    finally:
        pod.log.close()
    return _exit_code(result, options.termination_log)


def _pod(phase: str, root: Path, uri: str, build_id: str, number: int, variables: Mapping[str, str]) -> attempt.Pod:
    from slipway.registry.registry import Registry

    registry = Registry.open(uri)
    workspace = Workspace(root)
    if phase != "collect":
        workspace.clear()
    workspace.state.mkdir(parents=True, exist_ok=True)
    return attempt.Pod(
        registry=registry,
        stores=open_stores,
        build_id=build_id,
        number=number,
        workspace=workspace,
        environment=variables,
        log=LogFile(workspace.state / _LOGS[phase], echo=standard_output()),
        stop=Stop(),
    )


def _exit_code(result: AttemptResult | None, termination_log: Path) -> int:
    if result is None or result.outcome == "Succeeded":
        return 0
    _last_words(termination_log, f"{result.reason}: {result.message}" if result.message else result.reason)
    return 1


def _last_words(path: Path, text: str) -> None:
    with suppress(OSError):
        if path.exists():
            path.write_text(text[:4000], encoding="utf-8")


if __name__ == "__main__":
    code = main(sys.argv[1:], environment())
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of a fetch that was left behind would hold the interpreter up.
    os._exit(code)
