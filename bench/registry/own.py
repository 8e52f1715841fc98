"""What Slipway's registry takes for the same work, and how that grows; over a real S3 server on loopback."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from slipway.registry import Registry
from slipway.registry.names import ModelName
from slipway.registry.packs import PACK, write_pack
from slipway.registry.records import AliasMove, FileEntry, VersionDraft, VersionRecord, digest_of, root_digest
from slipway.storage.parallel import in_parallel
from slipway.storage.port import ObjectStore
from slipway.storage.s3 import S3Store
from slipway.storage.s3_quick import Answer, Ask

SMALL, LARGE = "bench/small", "bench/large"
MOVES = 10_000
"""Moves of the long history's alias."""
START = datetime(2026, 1, 1, tzinfo=UTC)


def timed(rounds: int, work: Callable[[int], object], before: Callable[[int], object] = lambda _n: None) -> list[float]:
    """Seconds of each round, after one that does not count. What is done `before` each one does not count either."""
    before(-1)
    work(-1)
    took = []
    for number in range(rounds):
        before(number)
        began = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - began)
    return took


def draft(model: str, build: object, files: tuple[FileEntry, ...], rng: random.Random | None = None) -> VersionDraft:
    """A version as the breast-cancer example makes them."""
    value = rng.random if rng else lambda: 0.5
    return VersionDraft(
        model=model,
        build_id=digest_of([model, build]),
        reason="FirstBuild",
        files=files,
        format="onnx",
        params={"C": value(), "penalty": "l2", "solver": "lbfgs", "seed": 7, "max_iter": 5000},
        metrics={"roc_auc": value(), "accuracy": value(), "f1": value(), "log_loss": value()},
        tags={"team": "ml"},
    )


def small_work(registry: Registry, model_file: Path, rounds: int) -> dict[str, list[float]]:
    """The same steps as MLflow's: a file and its metadata to a version; an alias moved; an alias resolved."""

    def register(number: int) -> None:
        data = model_file.read_bytes() + str(number).encode()  # other bytes each time: nothing is known already
        file = registry.blobs.put_bytes(data, path="model.onnx")
        registry.register(draft("bench/work", number, (file,)))

    other = Registry(registry.store)
    found = {"register": timed(rounds, register)}
    found["move_alias"] = timed(rounds, lambda n: registry.move_alias("bench/work", "champion", n % 2 + 1, by="bench"))

    def moved(number: int) -> None:
        other.move_alias("bench/work", "champion", number % 2 + 1, by="bench")

    found["resolve"] = timed(rounds, lambda _n: registry.resolve("bench/work@champion"), before=moved)
    found["resolve_just_started"] = timed(
        rounds, lambda _n: Registry(registry.store).resolve("bench/work@champion"), before=moved
    )
    return found


def seed(store: ObjectStore, model: str, versions: int) -> None:
    """`versions` records, and as many moves of ``champion`` up to MOVES, as if each had been registered and promoted in turn."""
    name, rng = ModelName.parse(model), random.Random(7)
    file = FileEntry(path="model.onnx", digest="sha256:" + "0" * 64, size=5000)

    def record(number: int) -> bytes:
        own = file.model_copy(update={"digest": "sha256:" + sha256(f"{model} {number}".encode()).hexdigest()})
        made = draft(model, number, (own,), rng)
        fields = {key: getattr(made, key) for key in VersionDraft.model_fields}
        at = START + timedelta(minutes=number)
        return VersionRecord(**fields, version=number, digest=root_digest((own,)), created_at=at, writer="seed").to_json()

    def move(number: int) -> bytes:
        at = START + timedelta(minutes=number)
        return AliasMove(
            number=number,
            model=model,
            alias="champion",
            version=number,
            previous=number - 1 or None,
            at=at,
            by="seed",
            writer="seed",
        ).to_json()

    for first in range(1, versions + 1, 4096):
        numbers = range(first, min(versions, first + 4095) + 1)
        records = {number: record(number) for number in numbers}
        puts = [(f"models/{model}/versions/{n:012d}.json", data) for n, data in records.items()]
        puts += [(f"models/{model}/aliases/champion/{n:012d}.json", move(n)) for n in numbers if n <= MOVES]
        _put_all(store, puts)
        for start in range(first, numbers[-1] - PACK + 2, PACK):
            write_pack(store, name, (start - 1) // PACK, [records[n] for n in range(start, start + PACK)])
    registry = Registry(store)
    extra = registry.blobs.put_bytes(f"extra of {model}".encode(), path="model.onnx")
    for number in range(9):  # these leave the hints that any writer leaves
        version = registry.register(draft(model, f"extra {number}", (extra,))).version
        registry.move_alias(model, "champion", version, by="bench")


def _put_all(store: ObjectStore, puts: list[tuple[str, bytes]]) -> None:
    """Many objects, quicker than a caller of the port would have a use for."""
    quick = store.connection.quick if isinstance(store, S3Store) else None
    if quick is None:
        in_parallel(lambda put: store.put(*put), puts, 16)
        return
    asks = [Ask("PUT", store.bucket, store.prefix + key, {}, {}, data) for key, data in puts]  # type: ignore[attr-defined]
    for ask, answer in zip(asks, quick.requests(asks), strict=True):
        if not isinstance(answer, Answer):
            raise RuntimeError(f"{ask.key} was not stored: {answer}")


def flatness(store: ObjectStore, rounds: int) -> dict[str, dict[str, list[float]]]:
    """The same questions to a short and to a long history, in turn, so that noise hits both alike."""
    registry = Registry(store)
    file = registry.blobs.put_bytes(b"one more", path="model.onnx")
    questions: dict[str, Callable[[str, int], object]] = {
        "resolve alias": lambda model, _n: registry.resolve(f"{model}@champion"),
        "resolve latest": lambda model, _n: registry.resolve(model),
        "register": lambda model, n: registry.register(draft(model, ["flat", n, time.time_ns()], (file,))),
        "move alias": lambda model, n: registry.move_alias(model, "champion", n % 5 + 1, by="bench"),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for what, ask in questions.items():
        took: dict[str, list[float]] = {SMALL: [], LARGE: []}
        for number in range(-2, rounds):
            for model in (SMALL, LARGE):
                began = time.perf_counter()
                ask(model, number)
                if number >= 0:
                    took[model].append(time.perf_counter() - began)
        found[what] = took
    return found


def questions(store: ObjectStore, rounds: int) -> dict[str, list[float]]:
    """Pages and searches over the long history, each by a registry that remembers nothing, and by one that does."""
    long = Registry(store)
    latest = long.latest(LARGE)
    query = "metrics.roc_auc > 0.999 and params.C < 0.5"
    return {
        "page": timed(rounds, lambda n: Registry(store).versions(LARGE, before=latest - 1000 * n - 37, limit=100)),
        "newest page": timed(rounds, lambda _n: Registry(store).versions(LARGE, limit=100)),
        "search cold": timed(rounds, lambda _n: Registry(store).search(query, models=[LARGE], order_by="-metrics.roc_auc")),
        "search everywhere cold": timed(rounds, lambda _n: Registry(store).search(query, order_by="-metrics.roc_auc")),
        "search warm": timed(rounds, lambda _n: long.search(query, models=[LARGE], order_by="-metrics.roc_auc")),
    }


def race(store: ObjectStore, writers: int) -> dict[str, Any]:
    """So many writers register a version of one model at the same moment."""
    registry = Registry(store)
    model = f"bench/race-{time.time_ns()}"
    file = registry.blobs.put_bytes(b"race", path="model.onnx")
    began = time.perf_counter()
    with ThreadPoolExecutor(writers) as pool:
        got = list(pool.map(lambda n: registry.register(draft(model, n, (file,)), check=False).version, range(writers)))
    took = time.perf_counter() - began
    return {"writers": writers, "exact": sorted(got) == list(range(1, writers + 1)), "seconds": took}


UPLOAD = """
import sys, time
from pathlib import Path

def peak_kib():  # of this program alone: getrusage's maximum begins, after exec, at what the parent held
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

path, uri, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
from slipway.storage import open_store
store = open_store(uri)
store.put("warm", b"-")
before = peak_kib()
if how == "boto3":
    import boto3
    client = boto3.client("s3")
    client.head_object(Bucket=store.bucket, Key=store.prefix + "warm")
    began = time.perf_counter()
    client.upload_file(str(path), store.bucket, store.prefix + "plain/" + str(time.time_ns()))
else:
    from slipway.registry.blobs import Blobs
    blobs = Blobs(store)
    blobs.exists("sha256:" + "0" * 64)
    store.connection.bulk
    began = time.perf_counter()
    blobs.put_file(path)
print(time.perf_counter() - began, (peak_kib() - before) // 1024)
"""


def upload(uri: str, folder: Path, size: int, rounds: int, environment: dict[str, str]) -> dict[str, Any]:
    """A large file by `Blobs.put_file`, hash included, and by boto3's own ``upload_file`` with its defaults, in turn, each in a
    process of its own. Memory: growth of the peak resident set in MiB, over what the imported client holds."""
    took: dict[str, list[float]] = {"slipway": [], "boto3": []}
    grown: dict[str, list[int]] = {"slipway": [], "boto3": []}
    rng = random.Random(11)
    for _ in range(rounds):
        path = folder / "large.bin"
        with path.open("wb") as writer:
            for _ in range(size >> 20):
                writer.write(rng.randbytes(1 << 20))
        for how in ("boto3", "slipway"):
            command = [sys.executable, "-c", UPLOAD, str(path), uri, how]
            env = {**os.environ, **environment, "PYTHONPATH": "operator"}
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            seconds, mib = done.stdout.split()
            took[how].append(float(seconds))
            grown[how].append(int(mib))
        path.unlink()
    return {"bytes": size, "seconds": took, "grown_mib": grown}


def median(values: list[float]) -> float:
    """The median; nothing else is steady on a shared machine."""
    return statistics.median(values)
