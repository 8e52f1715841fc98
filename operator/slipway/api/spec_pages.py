"""Tables of conditions and reasons in the spec pages: ``python -m slipway.api.spec_pages``.

The pages under docs/spec are written by hand; only what stands between ``<!-- reasons -->`` and ``<!-- end -->`` (and the
like for ``types`` and ``build reasons``) comes from `slipway.api.conditions`, so that the words exist once.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from slipway.api.conditions import AVAILABLE, BUILD_REASONS, REASONS, TYPES, Polarity

PAGES = {
    "ModelBuild": "model-build.md",
    "AppBuild": "app-build.md",
    "ModelDeployment": "model-deployment.md",
    "FeatureView": "feature-view.md",
}

_POLARITY: dict[Polarity, str] = {
    "done": "Ready=True",
    "working": "Ready=False, Reconciling=True",
    "waiting": "Ready=False, Reconciling=True; heals by itself",
    "stalled": "Ready=False, Stalled=True",
    "paused": "Ready=False",
}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def types(kind: str) -> str:
    """Condition types of a kind."""
    shown = {name: text for name, text in TYPES.items() if name != AVAILABLE or kind == "ModelDeployment"}
    rows = ((f"`{name}`", text.replace("ModelDeployment only, always", "Always")) for name, text in shown.items())
    return _table(("type", "meaning"), rows)


def reasons(kind: str) -> str:
    """Reasons of a kind, in the order of their polarity."""
    found = [reason for reason in REASONS.values() if kind in reason.kinds]
    found.sort(key=lambda reason: list(_POLARITY).index(reason.polarity))
    rows = ((f"`{reason.name}`", _POLARITY[reason.polarity], reason.meaning) for reason in found)
    return _table(("reason", "goes with", "meaning"), rows)


def build_reasons(kind: str) -> str:
    """Values of status.build.reason; an AppBuild has no inputs, a ModelBuild neither requirements nor base."""
    others = {"InputChanged"} if kind == "AppBuild" else {"RequirementsChanged", "BaseChanged"}
    shown = {name: text for name, text in BUILD_REASONS.items() if name not in others}
    return _table(("reason", "meaning"), ((f"`{name}`", text) for name, text in shown.items()))


_BLOCKS: dict[str, Callable[[str], str]] = {"types": types, "reasons": reasons, "build reasons": build_reasons}
_BLOCK = re.compile(r"<!-- (types|reasons|build reasons) -->\n(?:.*?<!-- end -->\n)?", re.DOTALL)


def filled(page: str, kind: str) -> str:
    """`page` with its tables as they shall be."""
    return _BLOCK.sub(lambda m: f"<!-- {m[1]} -->\n\n{_BLOCKS[m[1]](kind)}\n\n<!-- end -->\n", page)


def main(arguments: list[str] | None = None) -> int:
    """Writes the tables, or with ``--check`` only says which pages differ. Exit status 1 when one does."""
    parser = argparse.ArgumentParser(prog="python -m slipway.api.spec_pages", description="Fill tables of the spec pages.")
    parser.add_argument("--docs", type=Path, default=Path("docs/spec/v1alpha1"), help="folder of the pages")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a page is not up to date")
    options = parser.parse_args(arguments)
    stale = False
    for kind, name in PAGES.items():
        path = options.docs / name
        text = path.read_text(encoding="utf-8")
        wanted = filled(text, kind)
        if wanted == text:
            continue
        stale = True
        sys.stdout.write(f"{path}: {'not up to date' if options.check else 'written'}\n")
        if not options.check:
            path.write_text(wanted, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
