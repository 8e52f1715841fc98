"""``slipway lineage``: what a version was made of, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from slipway.cli.models import RefArgument
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, moment, say, short
from slipway.cli.session import Session
from slipway.registry.lineage import Lineage, LineageNode


@with_session
def lineage(session: Session, ref: RefArgument, form: DocumentOption = Document.TABLE) -> None:
    """Show the lineage of a version: up to data, features, code, image and build; down to aliases, deployments and app images.

    Deployments are those that pin the version now. With -o json, a graph of nodes and edges.
    """
    found = session.registry.lineage(session.ref(ref))
    if form is not Document.TABLE:
        emit(as_json(found), form)
        return
    root = found.node(found.root)
    for node in reversed(found.up()):
        say(f"  ↑ {_line(node)}")
    say(f"{root.name}  {short(root.digest or '')}")
    for node in found.down():
        say(f"  ↓ {_line(node)}")
    if not found.down():
        say("  ↓ nothing points at it or serves it")


def as_json(found: Lineage) -> dict[str, Any]:
    """A lineage as scripts read it."""

    def node(one: LineageNode) -> dict[str, Any]:
        digest = {"digest": one.digest} if one.digest else {}
        return {"id": one.id, "kind": one.kind, "name": one.name, **digest, **({"facts": one.facts} if one.facts else {})}

    return {
        "root": found.root,
        "nodes": [node(one) for one in found.nodes],
        "edges": [{"from": edge.source, "to": edge.target, "relation": edge.relation} for edge in found.edges],
    }


def _line(node: LineageNode) -> str:
    facts = ", ".join(f"{key} {_fact(value)}" for key, value in node.facts.items() if value != "")
    return "  ".join(filter(None, [f"{node.kind:10}", node.name, short(node.digest) if node.digest else "", facts]))


def _fact(value: Any) -> str:
    """A time to the second, as everywhere; other facts as they are."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return moment(at) if at.tzinfo else str(value)
