"""What can go wrong: while answering a request (`HTTPError`) and while starting (`StartError`)."""

from __future__ import annotations

from enum import IntEnum


class HTTPError(Exception):
    """Answers a request with `status` and ``{"error": message}``. Application code may raise it."""

    def __init__(self, status: int, message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"status {status}: an error has a status from 400 to 599")
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class BadInput(HTTPError):
    """A request that breaks the protocol or the model's signature. The message begins with the field."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(status, message)


class Busy(HTTPError):
    """More requests wait than the server takes. The client should come back later."""

    def __init__(self, waiting: int) -> None:
        super().__init__(429, f"{waiting} requests are waiting already: try again", headers=(("retry-after", "1"),))


class ModelFailed(Exception):
    """The model raised while it ran on inputs that fit its signature."""


class InputRefused(Exception):
    """The model's runtime refused the inputs themselves (a length that the signature leaves open, for example)."""


class ExitCode(IntEnum):
    """Exit codes of `slipway serve`, the same as of other commands."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3


class StartError(Exception):
    """The server cannot start. The message is one line that says why, and what to do about it."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first line of an exception's text, cut to `limit` characters."""
    text = str(error).strip().partition("\n")[0].strip() or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
