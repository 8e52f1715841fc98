"""Servers held against each other where a few per cent count: all are up, and one after the other is asked, in turns, so that
what else happens on the machine hits all alike."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.load import counted
from bench.serving.servers import body, running

CONNECTIONS = 16


def compare(
    servers: tuple[str, ...], models: Path, *, starts: int = 3, rounds: int = 3, seconds: float, model: str = "logistic"
) -> dict[str, Any]:
    """Requests per second of each (one row, 16 connections; the median of all rounds), and as a part of the first one's: the
    median of the parts in each round, and the lowest and highest. All are started anew `starts` times, as where its memory comes to lie
    makes the same server up to 5 % quicker or slower for as long as it runs."""
    rows = np.load(models / "rows.npy")
    found: dict[str, list[float]] = {server: [] for server in servers}
    cpu: dict[str, list[float]] = {server: [] for server in servers}
    for _ in range(starts):
        with ExitStack() as stack:
            ones = {}
            for server in servers:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                ones[server] = (stack.enter_context(running(server, model, models, folder)), folder)
            for turn in range(rounds + 1):
                for server, (one, folder) in ones.items():
                    sent = body(server, rows[:1])
                    answer = counted(one, sent, CONNECTIONS, seconds if turn else 1, folder)
                    if turn:
                        found[server].append(answer["rps"])
                        cpu[server].append(answer["cpu_us"])
    told: dict[str, Any] = {}
    for server in servers:
        parts = [mine / first for mine, first in zip(found[server], found[servers[0]], strict=True)]
        told[server] = {
            "rps": round(statistics.median(found[server]), 1),
            "cpu_us": round(statistics.median(cpu[server]), 1),
            "part": round(statistics.median(parts), 4),
            "lowest": round(min(parts), 4),
            "highest": round(max(parts), 4),
        }
        print(f"{server:9s} {model}, one row, {CONNECTIONS} connections, in turns: {told[server]}", flush=True)
    return told
