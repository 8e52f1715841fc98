from collections.abc import Iterator

import pytest

from tests.integration.api.server import Server, running


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with running() as started:
        yield started
