"""A real API server with our kinds, and an operator process over it with a small controller."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from local import binaries
from local import settings as local_settings
from local.control_plane import ControlPlane
from local.progress import Progress
from slipway.kube.client import KubeClient

ROOT = Path(__file__).resolve().parents[3]
CRDS = ROOT / "crds"


@dataclass
class Cluster:
    plane: ControlPlane
    kubectl: Path

    def run(self, *arguments: str) -> str:
        """kubectl, as the administrator."""
        command = [str(self.kubectl), "--kubeconfig", str(self.plane.kubeconfig), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    def install(self) -> None:
        self.run("apply", "--server-side", "-f", str(CRDS))
        self.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")

    def uninstall(self) -> None:
        """Takes our kinds away, if they are there."""
        self.run("delete", "--ignore-not-found", "--wait", "-f", str(CRDS))


@pytest.fixture(scope="module")
def bare_cluster() -> Iterator[Cluster]:
    """Without our kinds."""
    with ControlPlane(controller_manager=True) as plane:
        yield Cluster(plane, Path(binaries.ensure(local_settings.read(), Progress()).component("kubectl")))


@pytest.fixture(scope="module")
def cluster(bare_cluster: Cluster) -> Cluster:
    bare_cluster.install()
    return bare_cluster


@pytest.fixture
async def client(bare_cluster: Cluster) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(kubeconfig=bare_cluster.plane.kubeconfig) as kube:
        yield kube


@dataclass
class Operator:
    """An operator process of its own."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of its health server; 0 while it does not answer."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def metric(self, prefix: str) -> float:
        """The sum of all samples whose line begins with `prefix`."""
        _, text = await self.get("/metrics")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(prefix))

    async def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()


Start = Callable[..., AbstractAsyncContextManager[Operator]]


@pytest.fixture
def operator(bare_cluster: Cluster, tmp_path: Path) -> Start:
    """Starts operators; each has to end with 0 unless the test has ended it already."""

    @asynccontextmanager
    async def start(**settings: str) -> AsyncIterator[Operator]:
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            port = int(chosen.getsockname()[1])
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}",
            "KUBECONFIG": str(bare_cluster.plane.kubeconfig),
            "SLIPWAY_REGISTRY": f"file://{tmp_path}/registry",
            "SLIPWAY_NAMESPACE": "default",
            "SLIPWAY_BIND_ADDRESS": "127.0.0.1",
            "SLIPWAY_HEALTH_PORT": str(port),
            "SLIPWAY_RESYNC_SECONDS": "2",
            "SLIPWAY_LOG_FORMAT": "text",
            **settings,
        }
        log = tmp_path / f"operator-{port}.log"
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.integration.reconcile.echo", env=environment, stderr=sink, cwd=ROOT
            )
        started = Operator(process, port, log)
        try:
            yield started
            if process.returncode is None:
                assert await started.end() == 0, log.read_text()
        except BaseException:
            sys.stderr.write(log.read_text())
            raise
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return start


async def until(condition: Callable[[], Awaitable[bool]], what: str, deadline: float = 20.0) -> None:
    """Polls until the condition holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    while not await condition():
        assert loop.time() < end, f"not within {deadline:g} s: {what}"
        await asyncio.sleep(0.05)
