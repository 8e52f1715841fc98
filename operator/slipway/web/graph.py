"""Where the nodes of a lineage graph stand, and the lines between them: columns from what was first to what came of it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from slipway.registry.lineage import Lineage, LineageNode

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 212, 54, 52, 18, 4
_LETTERS = 24
_DIGITS = 12


@dataclass(frozen=True)
class Box:
    """A node: its upper left corner in the drawing's units, and the words in it."""

    node: LineageNode
    x: int
    y: int
    label: str
    note: str
    href: str | None


@dataclass(frozen=True)
class Drawing:
    """`lines` are SVG path data."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]


def draw(lineage: Lineage, href: Callable[[LineageNode], str | None]) -> Drawing:
    """Each node one column after the last of those that lead to it; columns are centred."""
    depths = _depths(lineage)
    columns: dict[int, list[LineageNode]] = defaultdict(list)
    for node in lineage.nodes:
        columns[depths[node.id]].append(node)
    rows = max(len(column) for column in columns.values())
    height = rows * (HEIGHT + GAP_Y) - GAP_Y
    places: dict[str, Box] = {}
    for depth, column in columns.items():
        top = (height - (len(column) * (HEIGHT + GAP_Y) - GAP_Y)) // 2
        for row, node in enumerate(column):
            x, y = MARGIN + depth * (WIDTH + GAP_X), MARGIN + top + row * (HEIGHT + GAP_Y)
            places[node.id] = Box(node, x, y, _cut(_label(node)), _note(node)[: _LETTERS + 4], href(node))
    width = (max(columns) + 1) * (WIDTH + GAP_X) - GAP_X
    lines = tuple(_line(places[edge.source], places[edge.target]) for edge in lineage.edges)
    return Drawing(width + 2 * MARGIN, height + 2 * MARGIN, tuple(places.values()), lines)


def _depths(lineage: Lineage) -> dict[str, int]:
    """The longest way to each node. A circle, which a graph of records cannot have, would end all the same."""
    depths = {node.id: 0 for node in lineage.nodes}
    for _ in lineage.nodes:
        changed = [edge for edge in lineage.edges if depths[edge.target] <= depths[edge.source]]
        if not changed:
            break
        for edge in changed:
            depths[edge.target] = max(depths[edge.target], depths[edge.source] + 1)
    return depths


def _line(source: Box, target: Box) -> str:
    x1, y1 = source.x + WIDTH, source.y + HEIGHT // 2
    x2, y2 = target.x, target.y + HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"


def _label(node: LineageNode) -> str:
    return "@" + node.name.rpartition("@")[2] if node.kind == "alias" else node.name


def _note(node: LineageNode) -> str:
    facts = node.facts
    if node.kind in ("data", "features") and "rows" in facts:
        return f"{facts['rows']} rows"
    if node.kind == "code" and facts.get("commit"):
        return f"commit {facts['commit'][:_DIGITS]}"
    if node.kind == "alias":
        return f"since {facts['since'][:10]}"
    if "kind" in facts or "reason" in facts:
        return facts.get("kind") or facts["reason"]
    return node.digest.removeprefix("sha256:")[:_DIGITS] if node.digest else ""


def _cut(text: str) -> str:
    """The end of a name says more than its beginning: paths and image names are cut at their front."""
    return text if len(text) <= _LETTERS else "…" + text[-(_LETTERS - 1) :]
