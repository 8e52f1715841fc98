"""``slipway serve``: the model server, the same on a laptop as in a pod."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.serving.arguments import defaults
from slipway.serving.errors import StartError
from slipway.serving.run import main
from slipway.serving.settings import FROM_ENVIRONMENT, HELP, Options, bytes_of, environment, split_list

_PATHS = ("models", "cache", "online_cache", "api_key_file", "tls_cert", "tls_key")


def _option(name: str) -> Any:
    return typer.Option(f"--{name.replace('_', '-')}", help=HELP[name], show_default=False)


def serve(
    model: Annotated[str, _option("model")] = "",
    models: Annotated[Path | None, _option("models")] = None,
    name: Annotated[str, _option("name")] = "",
    host: Annotated[str, _option("host")] = "127.0.0.1",
    port: Annotated[int, _option("port")] = 8080,
    grpc_port: Annotated[int, _option("grpc_port")] = 0,
    workers: Annotated[int, _option("workers")] = 1,
    processes: Annotated[int, _option("processes")] = 1,
    registry: Annotated[str, _option("registry")] = "",
    namespace: Annotated[str, _option("namespace")] = "default",
    digest: Annotated[str, _option("digest")] = "",
    cache: Annotated[Path | None, _option("cache")] = None,
    cache_size: Annotated[str, _option("cache_size")] = "",
    trusted_types: Annotated[str, _option("trusted_types")] = "",
    verify: Annotated[str, _option("verify")] = "",
    public_keys: Annotated[str, _option("public_keys")] = "",
    app: Annotated[str, _option("app")] = "",
    entrypoint: Annotated[str, _option("entrypoint")] = "",
    api_key_file: Annotated[Path | None, _option("api_key_file")] = None,
    tls_cert: Annotated[Path | None, _option("tls_cert")] = None,
    tls_key: Annotated[Path | None, _option("tls_key")] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help=HELP["access_log"])] = False,
    payload_log: Annotated[str, _option("payload_log")] = "",
    payload_sample: Annotated[float | None, _option("payload_sample")] = None,
    online_store: Annotated[str, _option("online_store")] = "",
    online_cache: Annotated[Path | None, _option("online_cache")] = None,
    missing_features: Annotated[str | None, _option("missing_features")] = None,
    other_definition: Annotated[str | None, _option("other_definition")] = None,
    shadow: Annotated[str, _option("shadow")] = "",
) -> None:
    """Serve models from here: a version of the registry, a file, a folder, or several that a file names."""
    main(_options(dict(locals())))


def _options(given: dict[str, Any]) -> Options:
    """What was said on the command line, else in the environment, else the default. Raises CliError."""
    given = given | {"trusted_types": split_list(given["trusted_types"]), "verify": given["verify"] or None}
    model, models, payload_sample = given["model"], given["models"], given["payload_sample"]
    for option, variable in FROM_ENVIRONMENT.items():
        named = models if option == "model" else model if option == "models" else None  # one of them goes before the other
        if not given.get(option) and not named and environment().get(variable):
            text = environment()[variable]
            given[option] = split_list(text) if option == "trusted_types" else Path(text) if option in _PATHS else text
    chosen = defaults() | {option: value for option, value in given.items() if value is not None}
    if payload_sample == 0:
        chosen["payload_sample"] = 0.0
    try:
        chosen["cache_size"] = bytes_of(chosen["cache_size"] or "0")
        chosen["payload_sample"] = float(chosen["payload_sample"])
        return Options(**chosen)
    except StartError as error:
        raise CliError(str(error), ExitCode.USAGE) from error
    except ValueError as error:
        raise CliError(f"SLIPWAY_PAYLOAD_SAMPLE: a number from 0 to 1 belongs there: {error}", ExitCode.USAGE) from error
