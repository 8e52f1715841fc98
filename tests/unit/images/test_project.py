"""Which packages come into which layer of the project's own images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.images.cache import LayerCache
from slipway.images.errors import ImageError
from slipway.images.project import RECIPES, Builder, Checkout, widened

CHECKOUT = Checkout.at(Path(__file__).parents[3])
TRAINING = RECIPES["slipway-training"]


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(CHECKOUT, LayerCache(tmp_path), os.environ)


def packages(lock: str) -> set[str]:
    return {line.partition("==")[0] for line in lock.splitlines()}


def test_an_extra_is_one_more_layer_and_the_others_stay_as_they_are(builder: Builder) -> None:
    plain = builder.package_groups(TRAINING)
    wide = builder.package_groups(widened(TRAINING, ["features", "training"], CHECKOUT))
    assert wide[: len(plain)] == plain
    ((users, lock),) = wide[len(plain) :]
    assert users == ("slipway-training",)
    assert {"deltalake", "duckdb"} <= packages(lock)
    there = {name for names, lines in plain if TRAINING.name in names for name in packages(lines)}
    assert not packages(lock) & there, "nothing comes twice"


def test_an_extra_that_there_is_not_is_told() -> None:
    with pytest.raises(ImageError, match=r"there is no extra 'feature': the extras are .*features"):
        widened(TRAINING, ["feature"], CHECKOUT)
