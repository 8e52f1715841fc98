"""Online reads beside Feast's, in one run: in a process (its SDK, our `FeatureStore.online`), and from a server: Feast's, which gives
features, and our model server, which takes the same keys and answers with predictions of a model that gives its features back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.features import online
from bench.features.envs import HERE, feast_environment, feast_python
from slipway.features import FeatureStore
from slipway.features.online.connect import connect
from slipway.features.records import Revision
from slipway.registry.records import FeatureRecord, InputRecord, Signature, TensorSpec, UsedView, VersionDraft
from tests.fakes.redis_server import RedisServer, redis_server
from tests.fakes.serving import echo_model, serving
from tests.fakes.stores import unused_port

ENTITIES = 50_000
RATES = (500, 100)
"""Requests a second; the second one because a server that cannot do the first one is only seen to fall behind."""
SECONDS = 4.0
FEAST = ("sqlite", "redis", "precomputed")
NAMES = tuple(f"f{number}" for number in range(online.FEATURES))
ASK = '{"records": [{"user": %d}]}'


def measure(folder: Path) -> dict[str, Any]:
    """Milliseconds by store, in a process and from a server."""
    users = online.rows(np.arange(ENTITIES))
    pq.write_table(users, folder / "online.parquet")
    found: dict[str, Any] = {"entities": ENTITIES, "features": len(NAMES), "seconds": SECONDS, "read": {}, "serve": {}}
    with redis_server(folder) as redis:
        _own(folder, users, redis, found)
        for kind in FEAST:
            _feast(kind, folder, redis, found)
    return found


def _own(folder: Path, users: Any, redis: RedisServer, found: dict[str, Any]) -> None:
    features = FeatureStore.open(f"file://{folder}/online", namespace="bench")
    columns = [{"name": name, "type": "float64"} for name in NAMES]
    revision = features.apply({"name": "bench", "entities": [{"name": "user"}], "ttl": "30d", "features": columns})
    features.ingest("bench", users)
    _register(features, revision, folder)
    for kind, url in (("embedded", ""), ("redis", redis.url)):
        _say(f"own: {kind}")
        features.materialize("bench", online=connect(url, features.registry.store, cache=folder / "copies", ttl=None))
        words = ["--entities", str(ENTITIES), "--seconds", str(SECONDS), *(["--redis", url] if url else [])]
        read = _call([sys.executable, "-m", "bench.features.online", *words])
        found["read"][f"slipway {kind}"] = {name: read[name] for name in ("materialize_seconds", "rate", "ms")}
        options = ["--model=bench/echo:1", f"--registry=file://{folder}/online", f"--cache={folder}/cache"]
        with serving(folder, *options, f"--online-cache={folder}/copies", SLIPWAY_ONLINE_STORE=url) as server:
            found["serve"][f"slipway {kind}"] = _load(server.port, "/predict", ASK)


def _register(features: FeatureStore, revision: Revision, folder: Path) -> None:
    """A version that was trained on the view, and gives back what it is given."""
    model = features.registry.blobs.put_file(echo_model(folder / "model.onnx", len(NAMES)), name="model.onnx")
    used = UsedView(view="bench/bench", revision=revision.number, definition=revision.digest, table_version=0)
    data = InputRecord(
        name="data", uri="features://bench/bench", digest="sha256:" + "1" * 64, size=1,
        features=FeatureRecord(as_of="Latest", views=(used,)),
    )  # fmt: skip
    signature = Signature(
        inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, len(NAMES))),),
        outputs=(
            TensorSpec(name="Y", datatype="FP32", shape=(-1, len(NAMES))),
            TensorSpec(name="S", datatype="FP32", shape=(-1,)),
        ),
        columns=NAMES,
    )
    features.registry.register(
        VersionDraft(
            model="bench/echo", build_id="sha256:" + "2" * 64, reason="bench", files=(model,), format="onnx",
            signature=signature, inputs=(data,),
        )
    )  # fmt: skip


def _feast(kind: str, folder: Path, redis: RedisServer, found: dict[str, Any]) -> None:
    _say(f"Feast: {kind}")
    program = [str(feast_python()), str(HERE / "peer" / "online.py")]
    took = _call([*program, "prepare", kind, str(folder), f"127.0.0.1:{redis.port}"])
    read = _call([*program, "read", kind, str(folder), str(ENTITIES), str(RATES[0]), str(SECONDS)])
    found["read"][f"feast {kind}"] = took | read
    wanted = (
        '"feature_service": "all", "full_feature_names": true'
        if kind == "precomputed"
        else f'"features": {json.dumps([f"bench:{n}" for n in NAMES])}'
    )
    with _feast_server(folder / kind) as port:
        found["serve"][f"feast {kind}"] = _load(port, "/get-online-features", "{" + wanted + ', "entities": {"user": [%d]}}')


@contextmanager
def _feast_server(repository: Path) -> Iterator[int]:
    """``feast serve`` with one worker, as our server has one process; without the restarts after every thousand requests."""
    port = unused_port()
    command = [str(feast_python().with_name("feast")), "-c", str(repository), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (repository / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--no-access-log", "--max-requests", "0"], env=feast_environment(), stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 120
        while not _healthy(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"feast serve did not start:\n{(repository / 'server.log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _load(port: int, path: str, body: str) -> list[dict[str, Any]]:
    program = [sys.executable, str(HERE / "pace.py"), str(port), path, body, str(ENTITIES)]
    return [_call([*program, str(rate), str(SECONDS)]) for rate in RATES]


def _call(command: list[str]) -> dict[str, Any]:
    env = feast_environment() if command[0] == str(feast_python()) else None
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} online reads, {what}", file=sys.stderr, flush=True)
