"""``slipway``, also as ``kubectl slipway``: the list of commands. A command's module is imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import ClassVar

import typer

from slipway.cli.lazy import Lazy, LazyGroup
from slipway.cli.options import ContextOption, DebugOption, KubeconfigOption, NamespaceOption, RegistryOption

CHAIN = "Build, watch, decide"
REGISTRY = "Model registry"
MAKE = "Without a cluster"
TOOLS = "Tools"
HERE = "slipway.cli"

COMMANDS: Mapping[str, Lazy] = {
    "status": Lazy(f"{HERE}.status", "status", "Show the chain: what is served, who built it, what is wrong.", CHAIN),
    "build": Lazy(f"{HERE}.build", "build", "Start a build now, though nothing changed.", CHAIN),
    "rebuild": Lazy(f"{HERE}.build", "build", "The same as build.", CHAIN),
    "logs": Lazy(f"{HERE}.logs", "logs", "Print the log of a version's training, or of a build.", CHAIN),
    "approve": Lazy(f"{HERE}.approve", "approve", "Approve a version's promotion, or a step of its roll-out.", CHAIN),
    "rollout": Lazy(f"{HERE}.rollout", "app", "Show, watch and steer a roll-out.", CHAIN),
    "rollback": Lazy(f"{HERE}.rollback", "rollback", "Take a deployment back to the version before.", CHAIN),
    "models": Lazy(f"{HERE}.models", "models", "List models.", REGISTRY),
    "model": Lazy(f"{HERE}.model", "app", "Show, list, register, download and verify versions of a model.", REGISTRY),
    "alias": Lazy(f"{HERE}.alias", "app", "List, set and take away aliases of models.", REGISTRY),
    "history": Lazy(f"{HERE}.history", "history", "Show where an alias pointed, when, and why.", REGISTRY),
    "artifacts": Lazy(f"{HERE}.artifacts", "artifacts", "List or download a version's model, reports and logs.", REGISTRY),
    "search": Lazy(f"{HERE}.search", "search", "Find versions by metric, parameter, tag, digest, time.", REGISTRY),
    "lineage": Lazy(f"{HERE}.lineage", "lineage", "Show what a version was made of, and what came of it.", REGISTRY),
    "diff": Lazy(f"{HERE}.diff", "diff", "Show how two versions differ.", REGISTRY),
    "index": Lazy(f"{HERE}.index", "app", "Bring the search index up to date.", REGISTRY),
    "gc": Lazy(f"{HERE}.gc", "gc", "Delete what nothing refers to.", REGISTRY),
    "import": Lazy(f"{HERE}.importing", "app", "Bring models from MLflow, features from Feast.", REGISTRY),
    "web": Lazy(f"{HERE}.web", "web", "Look at the registry in a browser; let MLflow's client read it.", REGISTRY),
    "features": Lazy(f"{HERE}.features", "app", "Define features, ingest rows, make training sets.", REGISTRY),
    "train": Lazy(f"{HERE}.train", "train", "Run training code here, as a training Job would.", MAKE),
    "serve": Lazy(f"{HERE}.serve", "serve", "Serve a model from here.", MAKE),
    "images": Lazy(f"{HERE}.images", "app", "Build Slipway's own container images.", MAKE),
    "probe": Lazy(f"{HERE}.probe", "probe", "Try whether the store is fit for a registry.", TOOLS),
    "completion": Lazy(f"{HERE}.completion", "completion", "Print the completion script of a shell.", TOOLS),
    "version": Lazy(f"{HERE}.version", "version", "Print the version.", TOOLS),
}


class Commands(LazyGroup):
    """The commands of ``slipway``."""

    table: ClassVar[Mapping[str, Lazy]] = COMMANDS


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 lost to a concurrent change.",
)


@app.callback()
def slipway(
    ctx: typer.Context,
    registry: RegistryOption = None,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Take machine-learning code to a served, watched model.

    Commands of the model registry need no cluster, only --registry or SLIPWAY_REGISTRY, and credentials the AWS way.
    """
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def main() -> None:
    """The console script ``slipway``; as ``kubectl-slipway`` it calls itself what the user typed."""
    from typer.completion import completion_init  # type: ignore[attr-defined]  # typer has no public name for it

    completion_init()
    called = PurePath(sys.argv[0]).name
    app_name = "kubectl slipway" if called.startswith("kubectl-slipway") else "slipway"
    typer.main.get_command(app).main(prog_name=app_name, complete_var="_SLIPWAY_COMPLETE")
