"""One real cluster for all tests of this layer: brought up when it is not up yet, and then taken down again at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from local.demo.install import install_chart, push_images
from local.demo.kubectl import Cluster
from local.errors import LocalError
from local.progress import Progress
from local.providers import provider as find_provider
from tests.e2e.support import Chain, namespace

DEMO_NAMESPACE = "demo"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The bare cluster with SeaweedFS, image registry, our images and the operator."""
    progress = Progress()
    chosen = find_provider("bare", progress=progress)
    was_up = False
    with suppress(LocalError):
        was_up = chosen.status().up
    made = Cluster(chosen.up())
    try:
        digests = push_images(made, progress)
        install_chart(made, digests, (DEMO_NAMESPACE,), progress)
        yield made
    finally:
        if not was_up:
            chosen.down()


@pytest.fixture
def chain(cluster: Cluster) -> Iterator[Chain]:
    with namespace(cluster, copy_secret_from=DEMO_NAMESPACE) as name:
        yield Chain(cluster, name)
