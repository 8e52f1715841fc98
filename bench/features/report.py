"""The tables out of the results, and whether the promises hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.features.cases import CASES

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results" / "features.json"
PAGE = ROOT / "docs" / "features.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def promises(results: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Each promise, what was measured, and whether it holds."""
    own, peer, equal, ingest = results["join"]["slipway"], results["join"]["feast"], results["equal"], results["ingest"]
    ratio, memory = peer["seconds"] / own["seconds"], own["peak_mib"] / peer["peak_mib"]
    share = ingest["write"]["seconds"] / ingest["ingest"]["seconds"]
    right = sum(results["cases"]["slipway"][case] == about["right"] for case, about in CASES.items())
    return [
        ("point-in-time join: at least 10 times faster than Feast", f"{ratio:.0f} times", ratio >= 10),
        ("within half of Feast's memory", f"{memory:.0%}", memory <= 0.5),
        (
            "row for row equal where Feast answers",
            f"{equal['equal']:,} of {equal['feast_rows']:,}",
            equal["equal"] == equal["feast_rows"],
        ),
        (
            "no entity row dropped",
            f"{own['rows']:,} of {equal['entity_rows']:,} (Feast: {equal['feast_rows']:,})",
            own["rows"] == equal["entity_rows"],
        ),
        ("right in all small cases", f"{right} of {len(CASES)}", right == len(CASES)),
        ("ingestion: at least 80 % of the speed of pyarrow writing the same Parquet", f"{share:.0%}", share >= 0.8),
        *_online_promises(results["online"]),
    ]


STORES = {
    "slipway embedded": "Slipway, embedded",
    "slipway redis": "Slipway, Redis",
    "feast sqlite": "Feast, SQLite",
    "feast redis": "Feast, Redis",
    "feast precomputed": "Feast, Redis, precomputed vectors",
}


def _online_promises(online: dict[str, Any]) -> list[tuple[str, str, bool]]:
    read = {store: one["ms"]["p99"] for store, one in online["read"].items()}
    served = {store: rates[0]["ms"]["p99"] for store, rates in online["serve"].items()}
    redis = min(served["feast redis"], served["feast precomputed"])
    pairs = [(served["slipway embedded"], served["feast sqlite"], "default"), (served["slipway redis"], redis, "Redis")]
    own = ("slipway embedded", "slipway redis")
    return [
        (
            "online read: p99 under 1.7 ms at 500 requests/s",
            " and ".join(f"{read[store]:.2f} ms ({STORES[store].partition(', ')[2]})" for store in own),
            all(read[store] < 1.7 for store in own),
        ),
        (
            "our server, which predicts too, no slower than Feast's on the same kind of store (p99 at 500 requests/s)",
            ", ".join(f"{ours:.2f} and {theirs:.2f} ms ({kind})" for ours, theirs, kind in pairs),
            all(ours <= theirs for ours, theirs, _ in pairs),
        ),
    ]


def tables(results: dict[str, Any]) -> str:
    """Markdown."""
    sizes, ingest, machine = results["sizes"], results["ingest"], results["machine"]
    lines = [
        f"{sizes['entity_rows']:,} entity rows with {sizes['views']} views of {sizes['history_rows']:,} rows and four features each, "
        "from entity rows in memory to a Parquet file:",
        "",
        "| | seconds | processor seconds | peak memory | rows out |",
        "|---|---|---|---|---|",
    ]
    for name, one in (("Slipway", results["join"]["slipway"]), ("Feast, file offline store", results["join"]["feast"])):
        lines.append(
            f"| {name} | {one['seconds']:.1f} | {one['cpu_seconds']:.1f} | {one['peak_mib']:,.0f} MiB | {one['rows']:,} |"
        )
    lines += ["", "| case | right | Slipway | Feast | |", "|---|---|---|---|---|"]
    for case, about in CASES.items():
        own, peer = results["cases"]["slipway"][case], results["cases"]["feast"][case]
        lines.append(f"| {case} | {_said(about['right'])} | {_said(own)} | {_said(peer)} | {about['why']} |")
    lines += [
        "",
        f"{sizes['many']:,} rows of {ingest['memory_mib']:,.0f} MiB into a table (types, keys, times and duplicates checked, one commit):",
        "",
        "| | seconds | peak memory |",
        "|---|---|---|",
        f"| pyarrow writes them to a file | {ingest['write']['seconds']:.2f} | {ingest['write']['peak_mib']:,.0f} MiB |",
        f"| `ingest` of an Arrow table | {ingest['ingest']['seconds']:.2f} | {ingest['ingest']['peak_mib']:,.0f} MiB |",
        f"| `ingest` of a Parquet file, piece by piece | {ingest['stream']['seconds']:.2f} | {ingest['stream']['peak_mib']:,.0f} MiB |",
        "",
        *_online(results["online"]),
        "",
        "| promise | measured | |",
        "|---|---|---|",
    ]
    lines += [f"| {promise} | {found} | {'holds' if ok else '**does not hold**'} |" for promise, found, ok in promises(results)]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results["versions"].items()))
    lines += [
        "",
        f"{machine['cpu']}, {machine['cpus']} processors, kernel {machine['kernel']}; {versions}; "
        f"load average before and after {machine['load_before'][0]:.1f} and {machine['load_after'][0]:.1f}; {results['measured'][:16]} UTC.",
    ]
    return "\n".join(lines)


def _online(online: dict[str, Any]) -> list[str]:
    """Reads of one entity by its key, in a process and from a server."""
    rates = [one["rate"] for one in next(iter(online["serve"].values()))]
    lines = [
        f"One entity of {online['entities']:,} with {online['features']} features by its key, milliseconds from when each request was "
        "due, the middle one of three rounds. In a process: our `FeatureStore.online`, which takes in news meanwhile, and Feast's SDK. "
        "Servers, one process each: ours gives predictions of a model that was trained on the features, `feast serve` the features.",
        "",
        f"| | materialise, s | in a process, {online['read']['slipway embedded']['rate']:.0f}/s: p50 | p99 | "
        + " | ".join(f"server, {rate:.0f}/s: p50 | p99" for rate in rates)
        + " |",
        "|---|---|---|---|" + "---|---|" * len(rates),
    ]
    for store, name in STORES.items():
        read, served = online["read"][store], online["serve"][store]
        cells = [f"{read['materialize_seconds']:.1f}", *_ms(read["ms"]), *(cell for one in served for cell in _ms(one["ms"]))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [
        *lines,
        "",
        f"Load average before and after {online['load_before'][0]:.1f} and {online['load_after'][0]:.1f}; "
        f"{online['measured'][:16]} UTC.",
    ]


def _ms(ms: dict[str, float]) -> list[str]:
    return [f"{ms[name]:,.2f}" for name in ("p50", "p99")]


def _said(answers: list[Any]) -> str:
    return ", ".join("null" if answer is None else str(answer) for answer in answers)


def tell(results: dict[str, Any], *, write: bool) -> int:
    """Prints the tables, and puts them into the docs; gives 1 when a promise does not hold."""
    text = tables(results)
    print(text)
    if write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    return 0 if all(ok for *_, ok in promises(results)) else 1
