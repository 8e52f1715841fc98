"""``slipway images``: the project's own images, built from a checkout without a container tool."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.images import archive, assemble, project
from slipway.images.cache import LayerCache
from slipway.images.credentials import DockerConfig
from slipway.images.errors import ImageError, InvalidReference
from slipway.images.reference import Reference, parse_repository
from slipway.images.registry_client import RegistryClient
from slipway.images.transport import Options
from slipway.images.upload import Tally
from slipway.settings import environment

app = typer.Typer(help="Build Slipway's own container images.", no_args_is_help=True, add_completion=False)

LOCAL = "localhost"
"""The registry in the names of images that are only archived."""


class Form(StrEnum):
    """How the result is printed."""

    TABLE = "table"
    JSON = "json"


@app.callback()
def images() -> None:
    """Build Slipway's own container images."""


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help=f"Of {', '.join(project.RECIPES)}; all by default.")
    ] = None,
    push: Annotated[
        str, typer.Option(metavar="HOST[/PATH]", help="Push to HOST[/PATH]/NAME, with the tags given by --tag.")
    ] = "",
    archive_file: Annotated[
        Path | None, typer.Option("--archive", metavar="FILE", help="Write an OCI archive, as `ctr images import` reads it.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag of the images; the project's version by default.")] = None,
    insecure: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="Registry reached by plain http. Loopback always is.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates (PEM) to trust beside the system's.")] = None,
    docker_config: Annotated[
        Path | None, typer.Option(help="Logins; $DOCKER_CONFIG/config.json or ~/.docker/config.json by default.")
    ] = None,
    checkout: Annotated[
        Path | None, typer.Option("--project", help="The checkout; by default the one that this is run in.")
    ] = None,
    python: Annotated[
        Path | None, typer.Option(help="The interpreter that goes into the images; by default the one running this.")
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="EXTRA", help="One more of slipway's extras in the images, as features in that of training."
        ),
    ] = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="Form of the result.")] = Form.TABLE,
) -> None:
    """Build images: a Python base, the locked packages, slipway. What has not changed is taken from the cache, and what
    the registry has is not sent again."""
    environ = environment()
    started = time.monotonic()
    try:
        wanted = project.recipes(names or ())
        to = _prefix(push)
        tree = project.Checkout.at(checkout or _checkout())
        tags = tag or [tree.version]
        cache = LayerCache(_cache(environ))
        builder = project.Builder(tree, cache, environ, python=python, say=_say)
        built = [builder.build(project.widened(recipe, more or (), tree)) for recipe in wanted]
        results = [_result(made) for made in built]
        if to is not None:
            options = Options(insecure=frozenset(insecure or ()), ca_file=ca_file)
            credentials = DockerConfig.load(docker_config or _docker_config(environ))
            with RegistryClient(options, credentials) as client:
                for made, result in zip(built, results, strict=True):
                    result.update(_push(client, made, project.target(to, made.recipe), tags))
        if archive_file is not None:
            archive.write(archive_file, [(_name(to, made, tags[0]), made.image) for made in built])
        cache.prune()
    except ImageError as error:
        code = ExitCode.USAGE if isinstance(error, InvalidReference) else ExitCode.FAILED
        raise CliError(str(error), code) from error
    _print(results, output, time.monotonic() - started, archive_file)


def _push(client: RegistryClient, built: project.Built, to: Reference, tags: Sequence[str]) -> dict[str, Any]:
    tally = Tally()
    started = time.monotonic()
    reference = assemble.push(client, built.image, to, tags=tags, tally=tally)
    return {
        "reference": str(reference),
        "tags": list(tags),
        "bytesSent": tally.bytes_sent,
        "pushSeconds": round(time.monotonic() - started, 3),
    }


def _result(built: project.Built) -> dict[str, Any]:
    return {
        "name": built.recipe.name,
        "digest": built.image.digest,
        "version": built.version,
        "platform": built.image.platform,
        "size": sum(part.descriptor.size for part in built.image.parts),
        "layers": [
            {
                "digest": part.descriptor.digest,
                "size": part.descriptor.size,
                "holds": part.holds,
                "fresh": part.holds in built.fresh,
                "seconds": built.seconds[part.holds],
            }
            for part in built.image.parts
        ],
    }


def _print(results: Sequence[dict[str, Any]], form: Form, seconds: float, archive_file: Path | None) -> None:
    from slipway.cli.output import emit, table

    if form is Form.JSON:
        emit(results, "json")
        return
    rows = [
        (
            result["name"],
            result.get("reference") or result["digest"],
            f"{result['size'] / 1e6:.1f} MB",
            ", ".join(layer["holds"] for layer in result["layers"] if layer["fresh"]) or "nothing",
            f"{result['bytesSent'] / 1e6:.1f} MB" if "bytesSent" in result else "not pushed",
        )
        for result in results
    ]
    table(("IMAGE", "REFERENCE" if "reference" in results[0] else "DIGEST", "SIZE", "MADE NEW", "SENT"), rows)
    written = f", written to {archive_file}" if archive_file else ""
    print(f"{len(results)} images in {seconds:.1f} s{written}", file=sys.stderr)


def _name(to: Reference | None, built: project.Built, tag: str) -> str:
    where = project.target(to, built.recipe) if to is not None else Reference(LOCAL, built.recipe.name)
    return str(where.with_tag(tag))


def _prefix(push: str) -> Reference | None:
    """Where to push: a host alone, or a host and the beginning of a repository."""
    if not push:
        return None
    if "/" in push.rstrip("/"):
        return parse_repository(push.rstrip("/"))
    return Reference(parse_repository(f"{push.rstrip('/')}/slipway").host, "")


def _checkout() -> Path:
    """The checkout around the current folder, else the one that the running package is in."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "uv.lock").is_file() and (folder / "operator" / "slipway").is_dir():
            return folder
    return Path(project.__file__).parents[3]


def _cache(environ: Mapping[str, str]) -> Path:
    root = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "slipway" / "images"


def _docker_config(environ: Mapping[str, str]) -> Path:
    folder = environ.get("DOCKER_CONFIG")
    return Path(folder) / "config.json" if folder else Path.home() / ".docker" / "config.json"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
