"""The table, and whether each figure lies in its allowed range (``rangespec.yaml``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from bench.registry.own import LARGE, SMALL, median

RANGES = Path(__file__).parent / "rangespec.yaml"
WORDS = {
    "resolve alias growth": "resolve an alias: over 100,000 versions against 10",
    "resolve latest growth": "resolve the latest: the same",
    "register growth": "register: the same",
    "move alias growth": "move an alias: the same",
    "page ms": "page of 100 of 100,000 versions, ms",
    "newest page ms": "newest page of 100, ms",
    "search cold ms": "search by metric over 100,000, nothing remembered, ms",
    "search everywhere cold ms": "the same in all models, ms",
    "search warm ms": "the same with the index in memory, ms",
    "upload share": "upload of 1 GiB, hash included, against boto3's own",
    "upload memory MiB": "memory that the upload takes, MiB",
    "racing writers exact": "64 racing writers give versions 1 to 64",
}


def figures(results: dict[str, Any]) -> dict[str, float]:
    """Each figure of the range file out of what was measured."""
    own, peer, flat = results["slipway"], results["mlflow"], results["flatness"]
    asked, up = results["questions"], results["upload"]
    found = {f"{what} ratio": median(peer[what]) / median(own[what]) for what in ("register", "move_alias", "resolve")}
    found["register ratio, files only"] = median(peer["register_files_only"]) / median(own["register"])
    found["resolve ratio, just started"] = median(peer["resolve"]) / median(own["resolve_just_started"])
    found |= {f"{what} growth": median(took[LARGE]) / median(took[SMALL]) for what, took in flat.items()}
    found |= {f"{what} ms": 1000 * median(took) for what, took in asked.items()}
    pairs = zip(up["seconds"]["boto3"], up["seconds"]["slipway"], strict=True)
    found["upload share"] = median([plain / ours for plain, ours in pairs])
    found["upload memory MiB"] = max(up["grown_mib"]["slipway"])
    found["racing writers exact"] = float(results["race"]["exact"])
    return found


def judged(results: dict[str, Any]) -> list[tuple[str, float, str, bool]]:
    """Name, value, bound in words, and whether it holds; in the order of the range file."""
    values, rows = figures(results), []
    for name, spec in yaml.safe_load(RANGES.read_text())["figures"].items():
        value = values[name]
        low, high = spec.get("min"), spec.get("max")
        held = (low is None or value >= low) and (high is None or value <= high)
        bound = f">= {low}" if low is not None else f"<= {high}" if high is not None else "-"
        rows.append((name, value, bound, held))
    return rows


def table(results: dict[str, Any]) -> str:
    """The table as it is printed."""
    own, peer = results["slipway"], results["mlflow"]
    lines = [
        f"MLflow {results['versions']['mlflow']}, {results['sizes']['large']} versions, {results['machine']['cpus']} CPUs",
        "",
    ]
    lines.append(f"{'median':28} {'MLflow':>12} {'Slipway':>12}")
    for what in ("register", "move_alias", "resolve"):
        lines.append(f"{what:28} {1000 * median(peer[what]):9.1f} ms {1000 * median(own[what]):9.1f} ms")
    lines.append(f"{'register, files only':28} {1000 * median(peer['register_files_only']):9.1f} ms")
    lines += ["", f"{'figure':28} {'value':>10}   {'bound':10}"]
    for name, value, bound, held in judged(results):
        lines.append(f"{name:28} {value:10.2f}   {bound:10} {'ok' if held else 'MISSED'}")
    return "\n".join(lines)


def markdown(results: dict[str, Any]) -> str:
    """The tables of docs/registry.md. The quickest rounds are those that other work on the machine disturbed least."""
    own, peer = results["slipway"], results["mlflow"]
    values = {name: (value, bound, held) for name, value, bound, held in judged(results)}
    lines = [
        f"| | MLflow {results['versions']['mlflow']} | Slipway | ratio | wanted | of the quickest rounds |",
        "|---|---|---|---|---|---|",
    ]
    asked = {
        "register": "log and register a small model",
        "move_alias": "move an alias",
        "resolve": "resolve an alias that just moved",
    }
    for what, words in asked.items():
        value, bound, held = values[f"{what} ratio"]
        theirs, ours = 1000 * median(peer[what]), 1000 * median(own[what])
        quickest = min(peer[what]) / min(own[what])
        lines.append(f"| {words} | {theirs:.1f} ms | {ours:.1f} ms | {value:.1f} | {bound}{_missed(held)} | {quickest:.1f} |")
    lines += ["", "| | measured | wanted |", "|---|---|---|"]
    for name, (value, bound, held) in values.items():
        if not name.endswith(" ratio") and bound != "-":
            lines.append(f"| {WORDS.get(name, name)} | {value:.{0 if value >= 100 else 2}f} | {bound}{_missed(held)} |")
    return "\n".join(lines)


def _missed(held: bool) -> str:
    return "" if held else " **missed**"


if __name__ == "__main__":
    print(markdown(json.loads((Path(__file__).parents[1] / "results/registry.json").read_text())))
