"""The process that runs the user's code: ``python -P -m slipway.training.child ROOT``.

It is a process of its own so that the one around it outlives whatever happens here: a crash, an exit, the out-of-memory
killer, a hang. It knows no credentials of the store. How it ends badly is written to ``failure.json``.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from slipway.training import contract
from slipway.training.entrypoint import describe, load_entrypoint
from slipway.training.errors import TrainingError
from slipway.training.inputs import Input, Inputs
from slipway.training.layout import ChildFailure, ChildTask, Workspace
from slipway.training.params import Params
from slipway.training.run import Run


def main(root: Path) -> int:
    """Runs the task under `root`. The exit code is 0 when the user's function returned, else 1."""
    workspace = Workspace(root)
    task = ChildTask.model_validate_json(workspace.task.read_bytes())
    source = Path(task.source)
    try:
        run = Run(
            params=Params(task.params),
            inputs=Inputs(
                {
                    name: Input(name, workspace.inputs / name, uri=given.uri, digest=given.digest, rows=given.rows)
                    for name, given in task.inputs.items()
                }
            ),
            output=workspace.output.root,
            trusted_types=task.trusted_types,
        )
        load_entrypoint(task.entrypoint, source)(run)
    except SystemExit as error:
        if error.code in (None, 0):
            return 0
        _report(workspace, source, error)
        return 1
    except BaseException as error:  # all that user code can raise is to be told, and none of it is ours to handle
        _report(workspace, source, error)
        return 1
    return 0


def failure_of(error: BaseException, source: Path) -> ChildFailure:
    """The reason and message for an exception that left the user's code."""
    if isinstance(error, TrainingError):
        reason = error.reason
        message = str(error) if reason == contract.ENTRYPOINT_INVALID else describe(error, source)
    elif isinstance(error, MemoryError):
        reason, message = contract.OUT_OF_MEMORY, describe(error, source)
    else:
        reason, message = contract.TRAINING_FAILED, describe(error, source)
    return ChildFailure(reason=reason, message=message)


def print_traceback(error: BaseException) -> None:
    """The traceback without Slipway's own frames at its beginning."""
    exception = traceback.TracebackException.from_exception(error)
    package = str(Path(__file__).parent.parent)
    while exception.stack and exception.stack[0].filename.startswith((package, "<frozen importlib")):
        del exception.stack[0]
    if isinstance(error, TrainingError) and error.__cause__ is None:
        exception.__cause__ = exception.__context__ = None
    print("".join(exception.format()), file=sys.stderr, end="", flush=True)


def _report(workspace: Workspace, source: Path, error: BaseException) -> None:
    print_traceback(error)
    workspace.failure.write_bytes(failure_of(error, source).to_json())


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.exit(code)
