"""``python -m slipway.images`` as the Job starts it: environment in, exit code, last words and result out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from slipway.images.contract import AppBuildResult
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore
from tests.contract.images.servers import Fault, Proxy, Seen
from tests.fakes.images import BUILD_ID, Site

ROOT = Path(__file__).parents[3]


class FolderSite(Site):
    """A site whose store another process can read."""

    @property
    def registry(self) -> Registry:
        return Registry(FileStore(self.root / "store"))


def start(site: Site, *, attempt: str | None = None) -> subprocess.Popen[str]:
    words = site.root / "termination-log"
    words.touch()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "operator"),
        "HOME": str(site.root),
        "TMPDIR": str(site.root),
        "SLIPWAY_ATTEMPT": attempt if attempt is not None else f"{BUILD_ID.removeprefix('sha256:')}/{site.attempts}",
        "SLIPWAY_REGISTRY": f"file://{site.root}/store",
        **site.environment,
    }
    command = [sys.executable, "-m", "slipway.images", "--termination-log", str(words)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def result_of(site: Site) -> AppBuildResult:
    found = site.registry.read_result(BUILD_ID, site.attempts, AppBuildResult)
    assert found is not None
    return found


def folder_site(site: Site) -> FolderSite:
    return FolderSite(site.root, site.base, site.repository)


def test_it_pushes_and_ends_with_0(site: Site) -> None:
    site = folder_site(site)
    site.ask()
    process = start(site)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert "pushed" in log
    assert result_of(site).reason == "Pushed"
    assert not list(site.root.glob("slipway-build-*")), "the work folder is gone"


def test_a_failure_ends_with_1_and_its_words(site: Site) -> None:
    site = folder_site(site)
    site.ask(entrypoint="app:Nothing")
    process = start(site)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert (site.root / "termination-log").read_text().startswith("EntrypointInvalid: ")


def test_wrong_usage_ends_with_2(site: Site) -> None:
    process = start(folder_site(site), attempt="nonsense")
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "SLIPWAY_ATTEMPT" in log


def test_sigterm_in_the_middle_of_a_push_leaves_a_result_and_nothing_tagged(site: Site, proxy: Proxy) -> None:
    reached, release = threading.Event(), threading.Event()

    def hold(seen: Seen) -> Fault | None:
        if seen.method == "PUT":
            reached.set()
            proxy.lock.release()  # others go on meanwhile
            release.wait(30)
            proxy.lock.acquire()
        return None

    proxy.script = hold
    site = folder_site(site)
    site.repository = site.repository.replace(proxy.upstream, proxy.host)
    site.ask(tags=["latest"])
    process = start(site)
    assert reached.wait(30)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    release.set()
    assert process.returncode == 1
    assert result_of(site).reason == "PodFailed"
    assert not any(seen.method == "PUT" and seen.path.endswith("/manifests/latest") for seen in proxy.seen)
