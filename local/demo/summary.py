"""What the demo says at its end: versions, digests, times, and what to try next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.demo.kubectl import Cluster


@dataclass
class Facts:
    """What was seen on the way. Times in seconds; None where a chapter was not told."""

    cluster_seconds: float = 0.0
    install_seconds: float = 0.0
    first_answer_seconds: float | None = None
    rollover_seconds: float | None = None
    bare_train_seconds: float = 0.0
    total_seconds: float = 0.0
    rows: int = 0
    distance: float = 0.0
    example_row: list[float] = field(default_factory=list)
    sent: int = 0
    failed: list[str] = field(default_factory=list)
    by_version: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    stable: dict[str, Any] = field(default_factory=dict)
    app: dict[str, Any] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    url: str = ""


def render(facts: Facts, cluster: Cluster) -> str:
    """The summary as text."""
    sections = (_versions(facts), _serving(facts), _times(facts), _next(cluster))
    return "\n".join(["", "Slipway demo: done", "", *(line for section in sections for line in (*section, ""))]) + "\n"


def _versions(facts: Facts) -> list[str]:
    lines = ["Versions of model demo/breast-cancer"]
    for entry in facts.history:
        took = _took(entry.get("startedAt"), entry.get("finishedAt"))
        version, reason = entry.get("version", "-"), entry.get("reason", "")
        lines.append(f"  version {version}  {entry['outcome']:9s} {reason:12s} build {entry['id'][:19]}{took}")
    return lines


def _serving(facts: Facts) -> list[str]:
    stable = facts.stable
    lines = ["Serving", f"  version {stable.get('version')}  model {stable.get('digest')}", f"  image    {stable.get('image')}"]
    if facts.app:
        build = facts.app.get("build", {})
        lines.append(f"  app      pushed {build.get('bytesSent', 0):,} bytes in {build.get('seconds', 0)} s")
    return [*lines, f"  url      {facts.url}"]


def _times(facts: Facts) -> list[str]:
    whole = f"images and chart {facts.install_seconds:.1f} s, all {facts.total_seconds:.1f} s"
    lines = ["Times", f"  cluster {facts.cluster_seconds:.1f} s, {whole}"]
    if facts.first_answer_seconds is not None:
        bare = f"the training script alone takes {facts.bare_train_seconds:.2f} s"
        lines.append(f"  apply to first served answer {facts.first_answer_seconds:.1f} s ({bare})")
    if facts.rollover_seconds is not None:
        shares = ", ".join(f"version {version}: {count}" for version, count in sorted(facts.by_version.items()))
        lost = f"{facts.sent} requests, {len(facts.failed)} failed ({shares})"
        lines.append(f"  changed parameter to new version serving {facts.rollover_seconds:.1f} s; {lost}")
    equal = f"equal scikit-learn's answers (probabilities within {facts.distance:.0e})"
    return [*lines, f"  {facts.rows} held-out rows {equal}"]


def _next(cluster: Cluster) -> list[str]:
    which = "" if cluster.info.provider == "bare" else f" CLUSTER={cluster.info.provider}"
    return [
        "Try next",
        f'  eval "$(make -s shell-env{which})"              # kubectl, slipway and the S3 keys for this cluster',
        "  slipway status -n demo                           # the chain as a tree",
        "  slipway history breast-cancer@champion -n demo   # who moved the alias, when, why",
        "  slipway artifacts breast-cancer:2 -n demo        # model, log and report by digest",
        "  slipway rollback breast-cancer -n demo           # back to the version before",
        f"  make down{which}                                 # remove everything",
    ]


def _took(begin: str | None, end: str | None) -> str:
    if not begin or not end:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
    return f"  {seconds:.0f} s"
