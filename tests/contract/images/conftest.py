from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from slipway.images.reference import Reference
from slipway.images.registry_client import RegistryClient
from tests.contract.images.servers import Proxy, Running, distribution
from tests.fakes.images import Site, push_base


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The real CNCF distribution registry."""
    with distribution(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    """Without pauses between tries."""
    with RegistryClient(sleep=lambda _seconds: None) as made:
        yield made


@pytest.fixture
def proxy(registry: Running) -> Iterator[Proxy]:
    """In front of the registry, to break what a test tells it to."""
    made = Proxy(registry.host)
    yield made
    made.close()


@pytest.fixture
def repository(registry: Running) -> Reference:
    """A repository of the registry that is not there yet."""
    return Reference(registry.host, f"team/{uuid4().hex[:12]}")


@pytest.fixture
def site(registry: Running, client: RegistryClient, repository: Reference, tmp_path: Path) -> Site:
    """Everything that a build pod needs, with a base image in another repository of the registry."""
    base = push_base(client, Reference(registry.host, "slipway/serving"), tmp_path / "base")
    return Site(tmp_path, base, repository.name)
