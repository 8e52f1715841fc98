"""`make test`: every layer, quick ones first, and a last word on what ran, what was skipped, and why.

A layer is a folder of this directory. Names of layers as arguments run only those.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("unit", "property", "faults", "contract", "integration", "chart", "e2e")
GROUPS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("unit", "property", "faults"), ("--dist=worksteal",)),
    (("contract", "integration", "chart"), ("--dist=loadfile",)),
    (("e2e",), ("--dist=loadscope", "--no-loadscope-reorder")),
)
"""Layers that run together, so that no core waits for the last test of each, and how pytest-xdist deals their tests out to as many
processes as there are cores: where each test makes the world it needs one by one, where tests share a real server a file at a time. The
one local cluster of e2e is shared by all its tests, two at a time and in their order: those that need it for themselves come last."""
WORKERS = min(os.cpu_count() or 1, 8)
SOURCES = [name for name in ("operator", "local", "manifests", "tests", "bench", "examples") if (ROOT / name).is_dir()]


@dataclass
class Outcome:
    """What became of one layer. `seconds` are those of its tests, of which as many run at once as there are cores."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    broken: str = ""
    """Why the layer says nothing although no test failed: it could not start, or collected nothing."""

    @property
    def ok(self) -> bool:
        return not self.failed and not self.broken


def command(*words: str) -> int:
    print(f"$ {' '.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False).returncode


def import_rules() -> int:
    print("$ lint-imports", flush=True)
    return subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, check=False).returncode


def lint_yaml() -> int:
    """All YAML but the chart's templates, which are none before Helm has rendered them."""
    folders = [name for name in ("crds", "manifests", "examples") if (ROOT / name).is_dir()]
    chart = [f"charts/slipway/{name}" for name in ("Chart.yaml", "values.yaml")]
    return command("yamllint", "-s", "-c", ".yamllint.yaml", *folders, *chart)


def generated() -> int:
    """Generated files are what their sources give; otherwise `make generate` writes them anew."""
    definitions = command("slipway.api.crd", "--check", "--out", "crds", "--chart", "charts/slipway/templates/crds")
    return definitions or command("manifests.render", "--check")


CHECKS: tuple[tuple[str, Callable[[], int]], ...] = (
    ("ruff check", lambda: command("ruff", "check", *SOURCES)),
    ("ruff format", lambda: command("ruff", "format", "--check", "--quiet", *SOURCES)),
    ("mypy --strict", lambda: command("mypy")),
    ("import rules", import_rules),
    ("YAML", lint_yaml),
    ("generated files", generated),
)


def verify() -> Outcome:
    """Style, types, import rules, generated files: each check counts as one test."""
    outcome = Outcome("verify")
    began = time.monotonic()
    for name, check in CHECKS:
        if check() == 0:
            outcome.passed += 1
        else:
            print(f"verify: {name} failed", file=sys.stderr)
            outcome.failed += 1
    outcome.seconds = time.monotonic() - began
    return outcome


def run_group(names: Sequence[str], dealt: Sequence[str]) -> list[Outcome]:
    """One run of pytest over some layers."""
    outcomes = [Outcome(name) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        print(f"\n== {', '.join(names)} ==", flush=True)
        words = [sys.executable, "-m", "pytest", *[f"tests/{name}" for name in names], "-q", f"--junit-xml={report}"]
        words += ["--durations=12", "--durations-min=5"]  # where the time goes is seen in each run
        if WORKERS > 1:
            words += ["-n", str(2 if names == ("e2e",) else WORKERS), *dealt]
        status = subprocess.run(words, cwd=ROOT, check=False).returncode
        _read_report(report, {outcome.name: outcome for outcome in outcomes})
    for outcome in outcomes:
        if status not in (0, 1):
            outcome.broken = f"pytest ended with {status}"
        elif outcome.passed + outcome.failed + len(outcome.skipped) == 0:
            outcome.broken = outcome.broken or "no test was found"
    return outcomes


def _read_report(report: Path, outcomes: Mapping[str, Outcome]) -> None:
    if not report.exists():
        for outcome in outcomes.values():
            outcome.broken = "pytest wrote no report"
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # our own file
        words = f"{case.get('classname')}.{case.get('name')}".strip(".").split(".")  # tests.<layer>.<folders and file>.<test>
        outcome = outcomes[words[1]]
        outcome.seconds += float(case.get("time") or 0)
        skip = case.find("skipped")
        if skip is not None:
            outcome.skipped.append(f"{case.get('classname')}::{case.get('name')}: {skip.get('message')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        else:
            outcome.passed += 1


def last_words(outcomes: Sequence[Outcome]) -> None:
    print("\nWhat ran, and the seconds of its tests")
    for outcome in outcomes:
        note = f"   BROKEN: {outcome.broken}" if outcome.broken else ""
        counts = f"{outcome.passed:5d} passed, {outcome.failed:3d} failed, {len(outcome.skipped):3d} skipped"
        print(f"  {outcome.name:12s} {counts}   {outcome.seconds:6.1f} s{note}")
    for outcome in outcomes:
        for line in outcome.skipped:
            print(f"  skipped: {line}")
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes) + sum(1 for outcome in outcomes if outcome.broken)
    print(f"{passed} passed, {failed} failed, {sum(len(o.skipped) for o in outcomes)} skipped", flush=True)


def main(wanted: list[str]) -> int:
    known = ("verify", *LAYERS)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"tests.run: no layer {unknown[0]}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    os.environ["PYTHONPATH"] = f"{ROOT / 'operator'}{os.pathsep}{ROOT}"
    # one for all of a layer's workers, so that they collect the same; another one in each run
    os.environ.setdefault("PYTHONHASHSEED", str(secrets.randbelow(2**32)))
    outcomes = [verify()] if not wanted or "verify" in wanted else []
    for names, dealt in GROUPS:
        chosen = tuple(name for name in names if not wanted or name in wanted)
        if chosen:
            outcomes += run_group(chosen, dealt)
    last_words(outcomes)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
