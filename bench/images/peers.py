"""The two ways to bring a changed file into an image of a registry, as commands from a cold process to a pushed digest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from slipway.images.contract import AppBuildRequest, AppBuildResult
from slipway.registry.registry import Registry
from slipway.sources.resolve import pin_configmap
from slipway.storage.files import FileStore

ROOT = Path(__file__).resolve().parents[2]
BUILD_ID = "sha256:" + "b" * 64
DOCKERFILE = """\
FROM {base}
COPY requirements /slipway/requirements
COPY app /slipway/app
ENV PYTHONPATH=/slipway/app:/slipway/requirements SLIPWAY_ENTRYPOINT=app:Service
WORKDIR /slipway/app
"""


@dataclass(frozen=True)
class Run:
    """One build: wall and processor seconds, and bytes sent where the tool tells them."""

    seconds: float
    cpu_seconds: float
    bytes_sent: int | None
    digest: str


class Slipway:
    """``python -m slipway.images``, as the Job starts it, with a folder as the model registry's store."""

    name = "slipway"

    def __init__(self, work: Path, base: str, host: str, wheel: Path) -> None:
        self._work, self._base, self._host, self._wheel = work, base, host, wheel
        self._attempt = 0
        work.mkdir(parents=True)

    def build(self, code: str) -> Run:
        import base64

        self._attempt += 1
        registry = Registry(FileStore(self._work / "store"))
        binary = {self._wheel.name: base64.b64encode(self._wheel.read_bytes()).decode()}
        source, blobs = pin_configmap("bench", "app", {"app.py": code}, binary)
        for data in blobs.values():
            registry.blobs.put_bytes(data)
        request = AppBuildRequest(
            build_id=BUILD_ID,
            attempt=self._attempt,
            name="bench/app",
            source=source,
            entrypoint="app:Service",
            base=self._base,
            requirements=(self._wheel.name.split("-")[0],),
            repository=f"{self._host}/bench/slipway",
            tags=("latest",),
        )
        registry.write_request(BUILD_ID, self._attempt, request)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._work),
            "PYTHONPATH": str(ROOT / "operator"),
            "SLIPWAY_ATTEMPT": f"{BUILD_ID.removeprefix('sha256:')}/{self._attempt}",
            "SLIPWAY_REGISTRY": f"file://{self._work}/store",
        }
        seconds, cpu = measured([[sys.executable, "-m", "slipway.images"]], environment)
        result = registry.read_result(BUILD_ID, self._attempt, AppBuildResult)
        assert result is not None
        assert result.digest, f"{result.reason}: {result.message}"
        return Run(seconds, cpu, result.bytes_sent + result.attestation_bytes_sent, result.digest)


class Buildah:
    """``buildah bud --layers`` and ``buildah push`` of the equivalent Dockerfile, base pulled and layers cached before."""

    name = "buildah"

    def __init__(self, work: Path, base: str, host: str, requirements: Path, driver: str) -> None:
        self._work, self._host = work, host
        self._store = ["--root", str(work / "root"), "--runroot", str(work / "run"), "--storage-driver", driver]
        context = work / "context"
        (context / "app").mkdir(parents=True)
        (context / "Dockerfile").write_text(DOCKERFILE.format(base=base))
        (context / "requirements").symlink_to(requirements)
        subprocess.run(["cp", "-rL", str(requirements), str(context / "copy")], check=True)
        (context / "requirements").unlink()
        (context / "copy").rename(context / "requirements")
        self._context = context

    def build(self, code: str) -> Run:
        (self._context / "app" / "app.py").write_text(code)
        image, digest = f"{self._host}/bench/buildah:latest", self._work / "digest"
        plain = ["--tls-verify=false"]
        bud = ["buildah", *self._store, "bud", "--quiet", "--layers", "--isolation", "chroot", "--format", "oci", *plain]
        push = ["buildah", *self._store, "push", "--quiet", *plain, "--digestfile", str(digest), image]
        seconds, cpu = measured([[*bud, "--tag", image, str(self._context)], push], dict(os.environ))
        return Run(seconds, cpu, None, digest.read_text().strip())


def measured(commands: list[list[str]], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of the commands, one after the other."""
    before, began = os.times(), time.perf_counter()
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command[:6]}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu
