"""From what was raised to what a person reads: one line that names the fix, and an exit code that scripts rely on."""

from __future__ import annotations

from enum import IntEnum

import typer

MAX_LINE = 2000


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    LOST = 4
    """Lost to a concurrent change."""


class CliError(Exception):
    """A command cannot go on. The message says why, and what to do about it."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def explain(error: BaseException) -> tuple[int, str]:
    """Exit code and message of `error`: one line, but for the help that stands in for a missing command."""
    if isinstance(error, typer.TyperException):
        return error.exit_code, _usage(error)
    if isinstance(error, typer.Abort):
        return ExitCode.FAILED, "aborted"
    if isinstance(error, CliError):
        return error.code, _line(str(error))
    if (code := _code(error)) is not None:
        return code, _line(str(error) + _hint(error))
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return ExitCode.FAILED, _line(f"{named}{error.strerror or error}")
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return ExitCode.FAILED, _line(
            f"this command needs the Python package {package}, which is not installed: pip install 'slipway[operator]' "
            "for commands that talk to a cluster, 'slipway[serving]', 'slipway[training]', 'slipway[images]' or 'slipway[features]' for those"
        )
    return ExitCode.FAILED, _line(f"unexpected {type(error).__name__}: {error} (add --debug for the traceback)")


def _code(error: BaseException) -> ExitCode | None:
    """The exit code of an error that has a message for people."""
    from slipway.api.common import InvalidResource
    from slipway.kube import port as kube
    from slipway.registry import errors as registry
    from slipway.registry.query.tree import InvalidQuery
    from slipway.sources import errors as sources
    from slipway.storage import port as storage

    codes: tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...] = (
        ((registry.NotInRegistry, storage.NotFound, sources.SourceMissing), ExitCode.NOT_FOUND),
        ((registry.InvalidName, registry.InvalidDigest, InvalidQuery, storage.InvalidKey), ExitCode.USAGE),
        ((storage.OutcomeUnknown,), ExitCode.FAILED),
        ((registry.LostRace, storage.Precondition, kube.Conflict), ExitCode.LOST),
        ((registry.RegistryError, storage.StorageError, kube.KubeError, sources.SourceError, InvalidResource), ExitCode.FAILED),
    )
    return next((code for kinds, code in codes if isinstance(error, kinds)), None)


def _hint(error: BaseException) -> str:
    from slipway.kube.port import Rejected

    if isinstance(error, Rejected) and error.code == 404 and not error.namespace_gone:
        return " (is Slipway installed in this cluster?)"
    return ""


def _usage(error: typer.TyperException) -> str:
    ctx = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "")
    if type(error).__name__ == "NoArgsIsHelpError":
        return message
    if ctx is None:
        return _line(message)
    if "extra argument" in message:
        words = " ".join(piece.strip("{}") for piece in ctx.command.collect_usage_pieces(ctx)[1:])
        message = f"{message.rstrip('.')}: write {ctx.command_path} {words}"
    see = f"see '{ctx.command_path} --help'"
    return _line(f"{message.rstrip('.')}" + ("" if see in message else f" ({see})"))


def _line(text: str) -> str:
    words = " ".join(text.split())
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return "error: " + (clean if len(clean) <= MAX_LINE else clean[: MAX_LINE - 1] + "…")
