"""``python -m slipway.images``: the Job of an AppBuild. See docs/images.md.

Reads SLIPWAY_ATTEMPT (``<build id>/<number>``), SLIPWAY_REGISTRY, DOCKER_CONFIG and the AWS variables. Exit codes: 0 done, 1 the
attempt failed (its result says why), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from slipway.environment import environment
from slipway.images import build_app
from slipway.images.attempt import Pod, run
from slipway.images.failures import failure_of
from slipway.storage import StorageError, lazily, open_stores
from slipway.training.contract import parse_attempt
from slipway.training.failures import without_secrets
from slipway.training.log import LogFile, standard_output
from slipway.training.process import hide_own_environment


def main(arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Runs the attempt that the environment names. See the module for the exit codes."""
    parser = argparse.ArgumentParser(prog="python -m slipway.images", description="Runs inside the Job of an AppBuild.")
    parser.add_argument("--work", type=Path, help="a folder for what is made on the way; a new one by default")
    parser.add_argument(
        "--termination-log", type=Path, default=Path("/dev/termination-log"), help="where Kubernetes reads the last words"
    )
    options = parser.parse_args(arguments)
    named = parse_attempt(variables.get("SLIPWAY_ATTEMPT", ""))
    if named is None:
        parser.error("SLIPWAY_ATTEMPT must be <build id: 64 hex digits>/<attempt number>")
    work = options.work or Path(tempfile.mkdtemp(prefix="slipway-build-"))
    try:
        pod = _pod(work, variables.get("SLIPWAY_REGISTRY", ""), *named, variables)
    except StorageError as error:
        parser.error(f"SLIPWAY_REGISTRY={variables.get('SLIPWAY_REGISTRY', '')!r}: {error}")
    pod.stop.on_signals()
    hide_own_environment()
    try:
        result = run(pod, build_app.build)
    except Exception as error:  # the result could not be written: the pod's status is what is left to speak by
        failure = failure_of(error)
        pod.tell(f"failed, and the result could not be written: {failure.reason}: {failure.message}")
        _last_words(options.termination_log, f"{failure.reason}: {without_secrets(failure.message, variables)}")
        return 1
    finally:
        pod.log.close()
        if options.work is None:
            shutil.rmtree(work, ignore_errors=True)
    if result.outcome == "Succeeded":
        return 0
    _last_words(options.termination_log, f"{result.reason}: {result.message}" if result.message else result.reason)
    return 1


def _pod(work: Path, uri: str, build_id: str, number: int, variables: Mapping[str, str]) -> Pod:
    from slipway.registry.registry import Registry

    registry = Registry.open(uri)
    work.mkdir(parents=True, exist_ok=True)
    return Pod(
        registry=registry,
        stores=lazily(open_stores),
        build_id=build_id,
        number=number,
        work=work,
        environment=variables,
        log=LogFile(work / "build.log", echo=standard_output()),
    )


def _last_words(path: Path, text: str) -> None:
    with suppress(OSError):
        if path.exists():
            path.write_text(text[:4000], encoding="utf-8")


if __name__ == "__main__":
    code = main(sys.argv[1:], environment())
    sys.stdout.flush()
    sys.stderr.flush()
    # The thread of a build that was given up would hold the interpreter up.
    os._exit(code)
