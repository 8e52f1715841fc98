"""One real cluster for all tests of this layer, and for all processes that run them: brought up by the first that needs it when it
is not up yet, and then taken down by the last."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from local import settings
from local.demo.install import install_chart, push_images
from local.demo.kubectl import Cluster
from local.errors import LocalError
from local.info import Provider
from local.progress import Progress
from local.providers import provider as find_provider
from tests.e2e.support import Chain, namespace

DEMO_NAMESPACE = "demo"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: the test takes parts of the cluster away, or measures how long something takes")


FIRST = ("test_feature_examples", "test_gateway", "test_chain", "test_app_builds")
"""Those that take longest: what is left for the end is short, so that nobody waits long for the last one."""


WHOLE = ("test_feature_examples",)
"""Files of which one process runs all tests, because what they share takes long to make."""


class Dealt(LoadScopeScheduling):
    """Deals out tests one by one, but for files that stay together. (xdist's groups by a marker do nothing with pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if Path(file).stem in WHOLE else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Dealt:
    return Dealt(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that can run beside each other first: then none of them waits."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        return item.get_closest_marker("alone") is not None, FIRST.index(item.path.stem) if item.path.stem in FIRST else len(
            FIRST
        )

    items.sort(key=place)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The bare cluster with SeaweedFS, image registry, our images and the operator."""
    progress = Progress()
    chosen = find_provider("bare", progress=progress)
    folder = settings.read().cache
    folder.mkdir(parents=True, exist_ok=True)
    with used(chosen, folder / ".e2e-users"):
        with locked(folder / ".e2e-set-up.lock"):
            made = Cluster(chosen.up())
            digests = push_images(made, progress)
            install_chart(made, digests, (DEMO_NAMESPACE,), progress)
        yield made


@contextmanager
def used(chosen: Provider, users: Path) -> Iterator[None]:
    """Takes the cluster down when the last process leaves, if it was not up when the first one came."""
    lock = users.with_suffix(".lock")
    with locked(lock):
        was_up, pids = _read(users)
        if not pids:
            was_up = False
            with suppress(LocalError):
                was_up = chosen.status().up
        users.write_text(json.dumps([was_up, [*pids, os.getpid()]]))
    try:
        yield
    finally:
        with locked(lock):
            was_up, pids = _read(users)
            pids.remove(os.getpid())
            users.write_text(json.dumps([was_up, pids]))
            if not pids and not was_up:
                chosen.down()


def _read(users: Path) -> tuple[bool, list[int]]:
    if not users.exists():
        return False, []
    was_up, pids = json.loads(users.read_text())
    return was_up, [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@contextmanager
def locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield


@pytest.fixture
def turn(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """The cluster shared with tests of other processes, or for a test alone."""
    alone = request.node.get_closest_marker("alone") is not None
    with locked(settings.read().cache / ".e2e-turns.lock", fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        yield


@pytest.fixture(autouse=True)
def _turn(turn: None) -> None:
    """Every test of this layer takes its turn."""


@pytest.fixture
def chain(cluster: Cluster, turn: None) -> Iterator[Chain]:
    with namespace(cluster, copy_secret_from=DEMO_NAMESPACE) as name:
        yield Chain(cluster, name)
