"""``slipway status``: the chain from code to served model, at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli import complete
from slipway.cli.chain import Chain, Node, chains, understand
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import AllNamespacesOption, Document, DocumentOption, with_session
from slipway.cli.output import clean, console, emit, note
from slipway.cli.session import Session
from slipway.kube.port import Kube, Object, Rejected, Unavailable
from slipway.kube.resources import APP_BUILD, FEATURE_VIEW, MODEL_BUILD, MODEL_DEPLOYMENT

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

POLL_SECONDS = 2.0
SIGNS = {"good": ("✓", "green"), "bad": ("✗", "red"), "busy": ("●", "yellow")}

NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="A ModelDeployment, ModelBuild, AppBuild or FeatureView. Default: all of the namespace.",
        autocompletion=complete.resources,
    ),
]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Show every change until Ctrl-C.")]


@with_session
def status(
    session: Session,
    name: NameArgument = None,
    all_namespaces: AllNamespacesOption = False,
    watch: WatchOption = False,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Show the chain as a tree: what is served, who built it, how good it is, and what is wrong.

    With -o json, a list with one item for each chain: modelDeployment, modelBuilds and appBuild, or featureView, with
    their status.
    """
    if watch:
        _watch(session, name, all_namespaces, form)
        return
    found = look(session, name, all_namespaces=all_namespaces)
    if form is not Document.TABLE:
        emit([chain.data for chain in found], form)
        return
    if not found:
        where = "in any namespace" if all_namespaces else f"in namespace {session.namespace} (-A shows all)"
        note(f"There are no resources of Slipway {where}.")
        return
    show(found, console())


def look(session: Session, name: str | None, *, all_namespaces: bool) -> list[Chain]:
    """The chains as they are now. Raises CliError for a name that nothing has."""
    namespace = None if all_namespaces else session.namespace

    async def read(kube: Kube) -> tuple[list[Object], list[Object], list[Object], list[Object]]:
        deployments = await kube.list(MODEL_DEPLOYMENT, namespace)
        builds = await kube.list(MODEL_BUILD, namespace)
        for other in sorted(_foreign(deployments, namespace)):
            try:
                builds += await kube.list(MODEL_BUILD, other)
            except Rejected:
                continue  # not ours to read: the tree does without it
        return deployments, builds, await kube.list(APP_BUILD, namespace), await _views(kube, namespace)

    deployments, builds, apps, views = session.cluster.run(read)
    word = name.rpartition("/")[2] if name else None
    found = chains(understand(deployments, builds, apps, views), word, session.now(), namespaced=all_namespaces)
    if namespace is not None and not word:
        found = [chain for chain in found if _is_of(chain, namespace)]
    if word and not found:
        raise _absent(word, namespace, [*deployments, *builds, *apps, *views])
    return found


async def _views(kube: Kube, namespace: str | None) -> list[Object]:
    try:
        return await kube.list(FEATURE_VIEW, namespace)
    except Rejected as error:
        if error.code == 404:  # a Slipway from before there were such resources
            return []
        raise


def _foreign(deployments: list[Object], namespace: str | None) -> set[str]:
    """Namespaces of models that deployments take from elsewhere."""
    if namespace is None:
        return set()
    names = [str(d.get("spec", {}).get("model", {}).get("name", "")) for d in deployments]
    return {name.partition("/")[0] for name in names if "/" in name} - {namespace}


def _is_of(chain: Chain, namespace: str) -> bool:
    """Whether the chain begins in `namespace`: builds of others are shown only below a deployment of ours."""
    if "modelDeployment" in chain.data or "broken" in chain.data or "appBuild" in chain.data or "featureView" in chain.data:
        return True
    return any(build["namespace"] == namespace for build in chain.data["modelBuilds"])


def _absent(name: str, namespace: str | None, objects: list[Object]) -> CliError:
    from slipway.registry.errors import closest

    close = closest(name, {obj["metadata"]["name"] for obj in objects})
    hint = f": did you mean {' or '.join(close)}?" if close else "; -A looks in all namespaces" if namespace else ""
    where = f"in namespace {namespace}" if namespace else "in any namespace"
    return CliError(f"no ModelDeployment, ModelBuild, AppBuild or FeatureView {name[:80]} {where}{hint}", ExitCode.NOT_FOUND)


def show(found: list[Chain], terminal: Console) -> None:
    """Draws the chains."""
    for place, chain in enumerate(found):
        if place:
            terminal.print()
        terminal.print(_tree(chain.node))


def _tree(node: Node) -> Tree:
    from rich.tree import Tree

    tree = Tree(_label(node), guide_style="dim")
    for child in node.children:
        tree.add(_tree(child))
    return tree


def _label(node: Node) -> Text:
    from rich.text import Text

    label = Text()
    if node.mark:
        sign, colour = SIGNS[node.mark]
        label.append(f"{sign} ", style=colour)
    label.append(clean(node.title), style="bold" if node.children else "")
    if node.detail:
        label.append(f"  {clean(node.detail)}")
    return label


def _watch(session: Session, name: str | None, all_namespaces: bool, form: Document) -> None:
    """Shows the chains again whenever they change; on a terminal, in the same place."""
    if form is not Document.TABLE:
        raise CliError("--watch goes with the tree only: leave -o out, or poll without --watch", ExitCode.USAGE)
    terminal = console()
    last: list[Node] | None = None
    while True:
        try:
            found = look(session, name, all_namespaces=all_namespaces)
            nodes = [_ageless(chain.node) for chain in found]
            if terminal.is_terminal:
                terminal.clear()
            if terminal.is_terminal or nodes != last:
                show(found, terminal)
                if not terminal.is_terminal:
                    terminal.print()
            last = nodes
        except Unavailable as error:
            note(f"no answer, trying again: {error}")
        session.pause(POLL_SECONDS)


def _ageless(node: Node) -> Node:
    """The node without the ages in it, which change all the time."""
    words = [word for word in node.detail.split("  ") if not word.startswith(("since ", "Running for "))]
    return Node(node.title, "  ".join(words), node.mark, tuple(map(_ageless, node.children)))
