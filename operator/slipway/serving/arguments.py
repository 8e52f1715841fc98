"""The command line of ``python -m slipway.serving``, the pod's own start: as `slipway serve`, without what makes a terminal
comfortable and a start slow. A test holds the two together."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NoReturn

from slipway.serving.errors import ExitCode, StartError
from slipway.serving.settings import FROM_ENVIRONMENT, HELP, Options, bytes_of, split_list


class _Parser(argparse.ArgumentParser):
    """Errors as those of the server: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise StartError(message, ExitCode.USAGE)


def parse(words: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Options from the command line, then from the environment. Raises StartError (usage); SystemExit for --help."""
    parser = _Parser(prog="python -m slipway.serving", description="Serve one model.", allow_abbrev=False)
    for name, text in HELP.items():
        flag = f"--{name.replace('_', '-')}"
        if name == "access_log":
            parser.add_argument(flag, action="store_true", default=None, help=text)
        else:
            parser.add_argument(flag, type=_TYPES.get(name, str), default=None, metavar="X", help=text)
    given = {name: value for name, value in vars(parser.parse_args(words)).items() if value is not None}
    for name, variable in FROM_ENVIRONMENT.items():
        if name not in given and environment.get(variable):
            given[name] = _TYPES.get(name, str)(environment[variable])
    if "models" in given and "model" in given and "--model" not in _flags(words):
        del given["model"]  # the command line goes before the environment
    if "model" not in given and "models" not in given:
        raise StartError("--model is missing: give NAME@alias, NAME:7, or the path of a model file", ExitCode.USAGE)
    return Options(**given)


def _flags(words: Sequence[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


def defaults() -> dict[str, Any]:
    """Every option's default, by name."""
    return {
        field.name: field.default_factory() if field.default_factory is not MISSING else field.default
        for field in fields(Options)
        if field.name != "model"
    }


_TYPES: dict[str, Any] = {
    "port": int,
    "grpc_port": int,
    "workers": int,
    "processes": int,
    "max_connections": int,
    "max_body": int,
    "max_rows": int,
    "max_batch": int,
    "max_queue": int,
    "timeout": float,
    "drain": float,
    "grace": float,
    "cache": Path,
    "online_cache": Path,
    "cache_size": bytes_of,
    "models": Path,
    "api_key_file": Path,
    "tls_cert": Path,
    "tls_key": Path,
    "termination_log": Path,
    "trusted_types": split_list,
    "payload_sample": float,
    "payload_seconds": float,
}
