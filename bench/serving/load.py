"""wrk, told what to send, and what it found."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from bench.serving.envs import wrk
from bench.serving.servers import Running

CORE = "1"

_SCRIPT = """
wrk.method = "POST"
local file = io.open(%(body)s, "rb")
wrk.body = file:read("*all")
file:close()
for name, value in pairs(%(headers)s) do wrk.headers[name] = value end
function done(summary, latency, requests)
  io.write(string.format(
    'RESULT {"requests":%%d,"seconds":%%f,"p50_ms":%%f,"p99_ms":%%f,"bad":%%d,"broken":%%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


def counted(
    one: Running, body: bytes, connections: int, seconds: float, scratch: Path, headers: dict[str, str] | None = None
) -> dict[str, float]:
    """As `load`, and the server's CPU time for each answer in microseconds: it tells more than the wall on a machine that does
    something else beside."""
    before = one.cpu_seconds()
    found = load(one.url + one.path, body, headers or one.headers, connections, seconds, scratch)
    used = one.cpu_seconds() - before
    return found | {"cpu_us": round(used / max(1.0, found["rps"] * seconds) * 1e6, 1)}


def load(url: str, body: bytes, headers: dict[str, str], connections: int, seconds: float, scratch: Path) -> dict[str, float]:
    """Requests per second, milliseconds at the median and the 99th percentile. Raises RuntimeError when an answer was not
    200, or a connection broke."""
    program, env = wrk()
    (scratch / "body").write_bytes(body)
    table = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items())
    script = scratch / "ask.lua"
    script.write_text(_SCRIPT % {"body": json.dumps(str(scratch / "body")), "headers": "{" + table + "}"})
    words = [
        "taskset",
        "-c",
        CORE,
        str(program),
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "--timeout=30s",
        f"-s{script}",
        url,
    ]
    done = subprocess.run(words, env=os.environ | env, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    found = json.loads(lines[0].removeprefix("RESULT "))
    if found["bad"] or found["broken"]:
        raise RuntimeError(f"{url}: {found['bad']} bad answers, {found['broken']} broken connections")
    return {
        "rps": round(found["requests"] / found["seconds"], 1),
        "p50_ms": round(found["p50_ms"], 3),
        "p99_ms": round(found["p99_ms"], 3),
    }
