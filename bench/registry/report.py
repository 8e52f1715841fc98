"""The table, and whether each figure lies in its allowed range (``rangespec.yaml``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bench.registry.own import LARGE, SMALL, median

RANGES = Path(__file__).parent / "rangespec.yaml"


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
