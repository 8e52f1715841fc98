"""``make bench-features``: Feast and Slipway on this machine in one run; prints the tables, writes
bench/results/features.json and docs/features.md. Exit code 1 when a promise does not hold.

Everything runs in processes of its own, one after the other, on folders on the same disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.features import beside, data, report
from bench.features.envs import HERE, feast_environment, feast_python

ROUNDS = 3


def run(what: str, folder: Path, *, feast: bool = False) -> dict[str, Any]:
    """One call in a process of its own, with what it took of memory and processor."""
    command = [str(feast_python()), str(HERE / "peer" / "measure.py")] if feast else [sys.executable, "-m", "bench.features.own"]
    env = feast_environment() if feast else None
    print(f"{time.strftime('%H:%M:%S')} {'Feast' if feast else 'own'}: {what}", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([*command, what, str(folder)], stdout=out, stderr=err, env=env)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise SystemExit(f"{what}: exit code {process.returncode}\n{err.read()[-2000:]}")
        answer = json.loads(out.read().splitlines()[-1])
    if what == "cases":
        return answer  # type: ignore[no-any-return]
    return {**answer, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}


def compare(folder: Path) -> dict[str, int]:
    """Row for row: what Feast gives, looked up in what Slipway gives."""
    import duckdb

    columns = [name for number in range(data.VIEWS) for name in data.feature_names(number)]
    equal = " AND ".join(f"(f.{name} IS NOT DISTINCT FROM s.{name})" for name in columns)
    query = (
        f"SELECT count(*), count(s.label), count_if(s.label = f.label AND {equal}) "
        f"FROM read_parquet('{folder}/feast.parquet') f LEFT JOIN read_parquet('{folder}/slipway.parquet') s USING (user, event_timestamp)"
    )
    rows, there, same = duckdb.connect().execute(query.replace("user,", '"user",')).fetchall()[0]
    asked = pq.read_metadata(folder / "entities.parquet").num_rows
    return {"entity_rows": asked, "feast_rows": rows, "found": there, "equal": same}


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Everything, in one run."""
    data.make(folder, entity_rows=given.rows, history_rows=given.history, users=given.users, many=given.many)
    results: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "cpu": _processor(), "kernel": platform.release(), "load_before": os.getloadavg()},
        "versions": {name: version(name) for name in ("deltalake", "duckdb", "pyarrow")} | {"python": platform.python_version()},
        "sizes": {
            "entity_rows": given.rows,
            "views": data.VIEWS,
            "history_rows": given.history,
            "users": given.users,
            "many": given.many,
        },
    }
    said = "import importlib.metadata as m; print(m.version('feast'), m.version('dask'), m.version('pandas'))"
    found = subprocess.run([feast_python(), "-c", said], capture_output=True, text=True, check=True).stdout.split()
    results["versions"] |= dict(zip(("feast", "dask", "pandas (Feast's)"), found, strict=True))
    results["fill"] = run("fill", folder)
    joins = [run("join", folder) for _ in range(ROUNDS)]
    results["join"] = {"slipway": sorted(joins, key=lambda one: one["seconds"])[ROUNDS // 2]}
    results["join"]["feast"] = run("join", folder, feast=True)
    results["equal"] = compare(folder)
    results["cases"] = {"slipway": run("cases", folder), "feast": run("cases", folder, feast=True)}
    rounds: dict[str, list[dict[str, Any]]] = {"write": [], "ingest": [], "stream": []}
    for _ in range(ROUNDS):
        for what, all_of in rounds.items():
            all_of.append(run(what, folder))
            for old in folder.glob("many-*"):
                shutil.rmtree(old)
    results["ingest"] = {
        what: {"seconds": statistics.median(one["seconds"] for one in all_of), "peak_mib": max(one["peak_mib"] for one in all_of)}
        for what, all_of in rounds.items()
    }
    results["ingest"]["memory_mib"] = _in_memory(folder)
    results["online"] = online(folder)
    results["machine"]["load_after"] = os.getloadavg()
    return results


def online(folder: Path) -> dict[str, Any]:
    """Online reads, with when and how busy the machine was: they can be measured anew alone."""
    before = os.getloadavg()
    found = beside.measure(folder)
    said = "import importlib.metadata as m; print(m.version('feast'), m.version('redis'))"
    feast, client = subprocess.run([feast_python(), "-c", said], capture_output=True, text=True, check=True).stdout.split()
    return found | {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_before": before,
        "load_after": os.getloadavg(),
        "versions": {"feast": feast, "redis (Feast's client)": client, "redis": version("redis")},
    }


def _in_memory(folder: Path) -> float:
    """MiB that the ten million rows take as an Arrow table."""
    file = pq.ParquetFile(folder / "many.parquet")
    return float(file.metadata.num_rows * 8 * len(file.schema_arrow.names) / 2**20)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.features", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="entity rows")
    parser.add_argument("--history", type=int, default=1_000_000, help="rows of each view")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=10_000_000, help="rows to ingest")
    parser.add_argument("--out", type=Path, default=report.RESULTS)
    parser.add_argument("--online", action="store_true", help="only online reads, anew; the other results stay")
    parser.add_argument("--table", action="store_true", help="only print the tables of the committed results")
    given = parser.parse_args()
    if not given.table:
        with tempfile.TemporaryDirectory(prefix="slipway-bench-features-") as folder:
            known = json.loads(given.out.read_text()) if given.online else {}
            results = known | {"online": online(Path(folder))} if given.online else measure(Path(folder), given)
        given.out.write_text(json.dumps(results, indent=1) + "\n")
    return report.tell(json.loads(given.out.read_text()), write=given.out == report.RESULTS)


if __name__ == "__main__":
    sys.exit(main())
