"""The table: what was measured, and what others have published of their own, each with its source."""

from __future__ import annotations

from typing import Any

MEMORY_MIB = 512
"""What the operator's container may take."""
PUBLISHED: tuple[tuple[str, str, str, str], ...] = (
    ("Flux 2.9 source-controller, 1,000 OCIRepository, 1 CPU", "257", "128", "fluxcd/flux-benchmark RESULTS.md"),
    ("Flux 2.9 kustomize-controller, 1,000 Kustomization, 2 CPU", "253", "223", "fluxcd/flux-benchmark RESULTS.md"),
    ("Flux 2.9 helm-controller, 1,000 HelmRelease, 2 CPU", "279", "361", "fluxcd/flux-benchmark RESULTS.md"),
    ("KubeRay 1.1.1, 100 RayClusters, GKE", "83", "-", "kuberay benchmark/perf-tests/*/results/junit.xml"),
    ("KubeRay 1.1.1, 1,000 RayClusters, GKE", "258", "-", "kuberay benchmark/perf-tests/*/results/junit.xml"),
    ("KServe (Open Data Hub), 300 InferenceServices", "stopped at 112", "-", "opendatahub-io/kserve#76, #126"),
    ("KServe's chart: memory limit of its controller", "-", "300", "kserve, values of its chart kserve-resources"),
)
"""What, seconds until all were ready, MiB of the controller, where it is published. Other machines, other work: neighbours, no race."""

HEAD = ("", "seconds until all are right", "writes per resource", "operator MiB (peak)")


def promises(report: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Each promise, what was measured, and whether it holds."""
    made = []
    for run in report["runs"]:
        count, phases = run["count"], run["phases"].values()
        right = min(phase["right"] for phase in phases)
        made.append((f"{count:,} applied at once, all right", f"{right:,} of {count:,}", right == count))
        made.append((f"no write at rest ({count:,})", f"{run['writes in 20 s of rest']:g}", run["writes in 20 s of rest"] == 0))
        if count >= 1000:
            most = max(phase["operator MiB"] for phase in phases)
            made.append((f"operator within {MEMORY_MIB} MiB at {count:,}", f"{most} MiB", most <= MEMORY_MIB))
    return made


def table(report: dict[str, Any]) -> str:
    """As it is printed."""
    rows = [HEAD, *_measured(report), *((what, seconds, "-", memory) for what, seconds, memory, _source in PUBLISHED)]
    lines = _aligned(rows)
    lines += ["", "Of others: as published, on their machines, of their kinds:"]
    lines += [f"  {what}: {source}" for what, _seconds, _memory, source in PUBLISHED]
    lines += ["", *(f"{'held  ' if held else 'BROKEN'} {promise}: {value}" for promise, value, held in promises(report))]
    return "\n".join(lines)


def markdown(report: dict[str, Any]) -> str:
    """As docs/architecture.md shows it."""
    rows = [(*row, "this run") for row in _measured(report)]
    rows += [(what, seconds, "-", memory, source) for what, seconds, memory, source in PUBLISHED]
    machine = report["machine"]
    load = " to ".join(f"{loads[0]:.0f}" for loads in (machine["load before"], machine["load after"]))
    lines = [f"| {' | '.join((*HEAD, 'source'))} |", "|---|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([*lines, "", f"{machine['cpus']} cores under a load of {load}, {report['at'][:10]}."])


def _measured(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = []
    for run in report["runs"]:
        # as they happened: the file is sorted by name
        for name, phase in sorted(run["phases"].items(), key=lambda item: item[0] != "applied"):
            memory = f"{phase['operator MiB']} ({phase['peak MiB']})"
            rows.append(
                (f"Slipway, {run['count']:,}: {name}", f"{phase['seconds']:g}", f"{phase['writes per resource']:g}", memory)
            )
    return rows


def _aligned(rows: list[tuple[str, str, str, str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [f"{row[0]:<{widths[0]}}  " + "  ".join(f"{row[c]:>{widths[c]}}" for c in (1, 2, 3)) for row in rows]
