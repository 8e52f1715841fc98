"""The tables out of the results, and whether the promises hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results" / "serving.json"
PAGE = ROOT / "docs" / "serving.md"
PEERS = ("mlserver", "kserve", "bentoml")
NAMES = {
    "static": "static answer", "granian": "Granian, static answer", "slipway": "Slipway",
    "mlserver": "MLServer", "kserve": "KServe", "bentoml": "BentoML",
}  # fmt: skip
STATIC = ("static", "granian")
"""Servers that always give the same answer: our HTTP layer, and the one that the model server stood on first."""
BUSY = 3.0
"""A load average above it says that more ran than a server and the load generator."""
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def read_results(path: Path) -> dict[str, Any]:
    """What was measured so far."""
    return json.loads(path.read_text()) if path.exists() else {}  # type: ignore[no-any-return]


def promises(results: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Each promise, what was measured, and whether it holds."""
    servers = results["servers"]
    own = servers["slipway"]["models"]

    def case(server: str, model: str, name: str, what: str) -> float:
        return float(servers[server]["models"][model]["cases"][name][what])

    told: list[tuple[str, str, bool]] = []
    peers = [peer for peer in PEERS if peer in servers]
    if peers:
        for model, wanted in (("logistic", 25), ("forest", 160)):
            best = max(case(peer, model, "1x16", "rps") for peer in peers)
            ratio = case("slipway", model, "1x16", "rps") / best
            told.append((f"{model}, 16 connections: at least {wanted}x the best peer", f"{ratio:.1f}x", ratio >= wanted))
            quickest = min(case(peer, model, "1x16", "p99_ms") for peer in peers)
            mine = case("slipway", model, "1x16", "p99_ms")
            text = f"{mine:.2f} ms to {quickest:.1f} ms"
            told.append((f"{model}, p99 at 16 connections: under a tenth of the best peer's", text, mine < quickest / 10))
        cold, theirs = own["logistic"]["cold_seconds"], min(servers[peer]["models"]["logistic"]["cold_seconds"] for peer in peers)
        told.append(("ready at least 9x sooner than the best peer", f"{theirs / cold:.1f}x", theirs / cold >= 9))
    told.append(("ready in under 1 s", f"{own['logistic']['cold_seconds']:.2f} s", own["logistic"]["cold_seconds"] < 1))
    resident = max(one["rss_mb"] for one in own.values())
    told.append(("under 120 MB resident", f"{resident:.0f} MB", resident < 120))
    if "share" in results:
        share = results["share"]["slipway"]["part"]
        told.append(("at least 85 % of the HTTP layer's static answer", f"{share:.0%}", share >= 0.85))
        if "granian" in results["share"]:
            part = share / results["share"]["granian"]["part"]
            told.append(("at least 85 % of Granian's static answer", f"{part:.0%}", part >= 0.85))
    if "large" in results:
        ratio = results["large"]["ratio"]
        told.append(("1,000 x 100 floats: binary at least 10x JSON", f"{ratio:.1f}x", ratio >= 10))
    if "watching" in results:
        for server, what in (
            ("slipway", "metrics, drift and feedback"),
            ("logged", "these, a payload log of a tenth and traces of a hundredth"),
        ):
            cost = 1 - results["watching"][server]["part"]
            told.append((f"{what}: under 5 % of the throughput", f"{cost:.1%}", cost < 0.05))
    return told


def tables(results: dict[str, Any]) -> str:
    """Markdown."""
    servers, machine, versions = results["servers"], results["machine"], results["versions"]
    lines = []
    for model, title in (("logistic", "Logistic regression, 30 columns"), ("forest", "Forest of 100 trees, 30 columns")):
        lines += [f"**{title}**: requests per second (p99 in ms)", ""]
        shown = [name for name in NAMES if name in servers and model in servers[name]["models"]]
        cases = sorted(servers["slipway"]["models"][model]["cases"], key=lambda case: [int(n) for n in case.split("x")])
        heads = [f"{'1 row' if case.startswith('1x') else '32 rows'}, {case.partition('x')[2]} conn." for case in cases]
        lines += ["| server | " + " | ".join(heads) + " | ready after | resident |", "|---|" + "---|" * (len(cases) + 2)]
        for name in shown:
            one = servers[name]["models"][model]
            cells = [_cell(one["cases"].get(case)) for case in cases]
            last = [f"{one['cold_seconds']:.2f} s", f"{one['rss_mb']:.0f} MB"] if name not in STATIC else ["", ""]
            lines.append(f"| {NAMES[name]} | " + " | ".join([*cells, *last]) + " |")
        lines.append("")
    if "large" in results:
        large = results["large"]
        lines += [
            f"A tensor of 1,000 x 100 floats, 4 connections: {large['json']['rps']:,.0f} requests per second as JSON, "
            f"{large['binary']['rps']:,.0f} in binary, which took {large['json']['cpu_us']:,.0f} and {large['binary']['cpu_us']:,.0f} us of CPU each.",
            "",
        ]
    if "share" in results:
        share = results["share"]
        shown = [name for name in NAMES if name in share]
        lines += [
            "In turns, 1 row, 16 connections, requests per second and us of CPU for each: "
            + "; ".join(f"{NAMES[name]} {share[name]['rps']:,.0f}, {share[name]['cpu_us']:.1f}" for name in shown)
            + ".",
            "",
        ]
    if "turns" in results:
        turns = results["turns"]
        lines += [
            f"What is in turns, and the last four promises, ended {turns['measured'][:16]} UTC, at a load average of {turns['load']:.0f}.",
            "",
        ]
    lines += ["| promise | measured | |", "|---|---|---|"]
    lines += [f"| {promise} | {found} | {'holds' if ok else '**does not hold**'} |" for promise, found, ok in promises(results)]
    stamps = sorted(one["measured"] for one in servers.values())
    lines += [
        "",
        f"{machine['cpu']}, kernel {machine['kernel']}, Python {machine['python']}; one core for the server, another for wrk; "
        f"{', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}; {stamps[0][:16]} to {stamps[-1][:16]} UTC.",
    ]
    load = max(one.get("load", 0.0) for one in servers.values())
    if load > BUSY:
        lines += [
            "",
            f"**The machine was not quiet**: other work ran on the same {machine['cores']} cores, with a load average of up to {load:.0f}. All servers "
            "had to share with it alike; on an idle machine each is several times as fast, and latencies are a fraction of these. An empty "
            "cell: not measured, or no answer within the time.",
        ]
    return "\n".join(lines)


def write_tables(results: dict[str, Any], *, write: bool) -> int:
    """Prints the tables, and puts them into the docs; gives 1 when a promise does not hold."""
    text = tables(results)
    print(text)
    if write and PAGE.exists():
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    return 0 if all(ok for _, _, ok in promises(results)) else 1


def _cell(case: dict[str, float] | None) -> str:
    return f"{case['rps']:,.0f} ({case['p99_ms']:.1f})" if case else ""
