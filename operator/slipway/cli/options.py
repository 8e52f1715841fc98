"""Options that many commands have, written once: ``--registry``, ``--namespace`` and their like, and ``-o``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway.cli import complete

if TYPE_CHECKING:
    from slipway.cli.session import Session


class Output(StrEnum):
    """Forms of an answer."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class Listing(StrEnum):
    """Forms of a list."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"

    @property
    def for_people(self) -> bool:
        """Whether it is a table, with few columns or with all."""
        return self in (Listing.TABLE, Listing.WIDE)


class Document(StrEnum):
    """Forms of an answer that has no name to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


RegistryOption = Annotated[
    str | None,
    typer.Option("--registry", metavar="URI", help="Model registry, s3://bucket/prefix. Default: SLIPWAY_REGISTRY."),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="Where a bare NAME is looked up. Default: the kube context's namespace, else default.",
        autocompletion=complete.namespaces,
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.", autocompletion=complete.contexts),
]
KubeconfigOption = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig. Default: KUBECONFIG, else ~/.kube/config."),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the answer.")]
ListingOption = Annotated[Listing, typer.Option("--output", "-o", help="Form of the answer; wide: a table with more columns.")]
DocumentOption = Annotated[Document, typer.Option("--output", "-o", help="Form of the answer.")]
AllNamespacesOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the record.")]

SHARED: dict[str, tuple[Any, Any]] = {
    "registry": (RegistryOption, None),
    "namespace": (NamespaceOption, None),
    "context": (ContextOption, None),
    "kubeconfig": (KubeconfigOption, None),
    "debug": (DebugOption, False),
}


def with_session(function: Callable[..., None]) -> Callable[..., None]:
    """Makes a command of a function whose first parameter is a `Session`: the shared options are added to its own, and
    what was given before the command's name (``slipway -n team models``) counts where the command itself says nothing."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(n, keyword, default=d, annotation=a) for n, (a, d) in SHARED.items()]
    ctx = inspect.Parameter("ctx", keyword, annotation=typer.Context)

    @functools.wraps(function)
    def command(**given: Any) -> None:
        context = given.pop("ctx")
        said = {name: given.pop(name) for name in SHARED}
        function(session_of(said, context.find_root().params), **given)

    parameters = [*(p.replace(kind=keyword) for p in own), *shared, ctx]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def session_of(said: dict[str, Any], before: dict[str, Any]) -> Session:
    """The session of a command that was told `said`, and `before` its name."""
    from slipway.cli.session import Session

    value = {name: before.get(name) if said.get(name) is None else said[name] for name in SHARED}
    return Session(
        registry_uri=value["registry"],
        namespace_option=value["namespace"],
        context=value["context"],
        kubeconfig=value["kubeconfig"],
    )


def session_from(ctx: typer.Context) -> Session:
    """The session of a command line that is still being typed."""
    return session_of(ctx.params, ctx.find_root().params)
