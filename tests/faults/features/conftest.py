from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.bad_network import BadNetwork, bad_network
from tests.fakes.store_fixtures import seaweed
from tests.fakes.stores import Weed

__all__ = ["network", "seaweed"]


@pytest.fixture
def network(seaweed: Weed) -> Iterator[BadNetwork]:
    """A bad network between us and a real S3 server."""
    with bad_network(seaweed.endpoint) as proxy:
        yield proxy
