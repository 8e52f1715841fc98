"""What the demo says at its end: versions, digests, times, and what to try next."""

from __future__ import annotations

from datetime import datetime

from local.demo.figures import Chain, Facts
from local.demo.kubectl import Cluster
from local.demo.timeline import Step


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
    prepared = f"images and chart {facts.install_seconds:.1f} s"
    pulled = f", the node's first pull of the images {facts.pull_seconds:.1f} s" if facts.pull_seconds else ""
    lines = ["Times", f"  cluster {facts.cluster_seconds:.1f} s, {prepared}{pulled}, all {facts.total_seconds:.1f} s"]
    if facts.first is not None:
        lines += ["", *_chain(facts.first)]
    if facts.rollover_seconds is not None:
        shares = ", ".join(f"version {version}: {count}" for version, count in sorted(facts.by_version.items()))
        lost = f"{facts.sent} requests, {len(facts.failed)} failed ({shares})"
        lines += ["", f"  changed parameter to new version serving {facts.rollover_seconds:.1f} s; {lost}"]
        lines += _steps(facts.rollover_steps)
    equal = f"equal scikit-learn's answers (probabilities within {facts.distance:.0e})"
    lines += ["", f"  {facts.rows} held-out rows {equal}"]
    if facts.operator_bytes:
        lines.append(f"  the operator uses {facts.operator_bytes / 2**20:.0f} MiB of memory")
    return lines


def _chain(chain: Chain) -> list[str]:
    inside = ", ".join(f"{name} {seconds:.1f}" for name, seconds in chain.in_training.items())
    each = chain.api_writes / max(1, chain.resources)
    return [
        f"  apply to first served answer {chain.total:.1f} s",
        *_steps(chain.steps),
        f"    in the training container: {inside}",
        f"  beside it: the script alone {chain.script:.1f} s, two empty pods {chain.empty_pods:.1f} s; added {chain.added:.1f} s",
        f"  the operator wrote {each:.1f} times to the API server for each of the {chain.resources} resources",
    ]


def _steps(steps: list[Step]) -> list[str]:
    return [f"    {step.seconds:5.2f} s  {step.name}" for step in steps]


def _next(cluster: Cluster) -> list[str]:
    which = "" if cluster.info.provider == "bare" else f" CLUSTER={cluster.info.provider}"
    commands = {
        f'eval "$(make -s shell-env{which})"': "kubectl, slipway and the S3 keys for this cluster",
        "slipway status -n demo": "the chain as a tree",
        "slipway history breast-cancer@champion -n demo": "who moved the alias, when, why",
        "slipway artifacts breast-cancer:2 -n demo": "model, log and report by digest",
        "slipway rollback breast-cancer -n demo": "back to the version before",
        f"make down{which}": "remove everything",
    }
    return ["Try next", *(f"  {command:48s} # {what}" for command, what in commands.items())]


def _took(begin: str | None, end: str | None) -> str:
    if not begin or not end:
        return ""
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
    return f"  {seconds:.0f} s"
