"""The file of `--models`: several models in one server.

models:
  - name: fraud                 # in URLs
    model: fraud@champion       # as --model takes it
  - name: churn
    model: ./churn.onnx
    load: false                 # not at the start: when a client asks for it
    max_batch: 64               # any other option that is about one model
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slipway.serving.errors import ExitCode, StartError, first_line
from slipway.serving.settings import Options, split_list

PER_MODEL = ("namespace", "digest", "trusted_types", "app", "entrypoint", "max_rows", "max_batch", "max_queue", "processes")
"""Options that a model can have of its own."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Configured:
    """`options` by name, and which are loaded at the start."""

    options: Mapping[str, Options]
    at_start: tuple[str, ...]


def read_models(path: Path, base: Options) -> Configured:
    """The models in a YAML or JSON file; `base`: the server's own options. Raises StartError (usage), which names the
    entry."""
    import yaml

    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise _usage(f"--models {path}: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        raise _usage(f"--models {path}: {first_line(error)}") from error
    entries = document.get("models") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise _usage(f"--models {path}: models: a list of models belongs here")
    options: dict[str, Options] = {}
    at_start = []
    for at, entry in enumerate(entries):
        where = f"--models {path}: models[{at}]"
        name, own, wanted = _entry(entry, where)
        if name in options:
            raise _usage(f"{where}.name: {name!r} is there twice")
        try:
            options[name] = replace(base, models=None, name=name, **own)
        except (StartError, TypeError) as error:
            raise _usage(f"{where}: {error}") from error
        if wanted:
            at_start.append(name)
    return Configured(options, tuple(at_start))


def _entry(entry: Any, where: str) -> tuple[str, dict[str, Any], bool]:
    if not isinstance(entry, dict):
        raise _usage(f"{where}: an object with name and model belongs here")
    known = {"name", "model", "load", *PER_MODEL}
    unknown = sorted(str(key) for key in entry if key not in known)
    if unknown:
        raise _usage(f"{where}.{unknown[0]}: unknown; there are {', '.join(sorted(known))}")
    for key in ("name", "model"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise _usage(f"{where}.{key}: missing, or no text")
    if not _NAME.fullmatch(entry["name"]):
        raise _usage(f"{where}.name: {entry['name']!r}: letters, digits, '.', '_' and '-', beginning with a letter or digit")
    load = entry.get("load", True)
    if not isinstance(load, bool):
        raise _usage(f"{where}.load: true or false belongs here")
    own = {key: value for key, value in entry.items() if key not in ("name", "load")}
    for key in ("max_rows", "max_batch", "max_queue", "processes"):
        if key in own and type(own[key]) is not int:
            raise _usage(f"{where}.{key}: a number belongs here")
    if "trusted_types" in own:
        given = own["trusted_types"]
        own["trusted_types"] = split_list(given) if isinstance(given, str) else tuple(map(str, given or ()))
    return entry["name"], own, load


def _usage(message: str) -> StartError:
    return StartError(message, ExitCode.USAGE)
