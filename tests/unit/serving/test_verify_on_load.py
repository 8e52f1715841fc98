"""A server that is told to demand proof downloads no version without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.provenance.attest import Attester
from slipway.registry.registry import Registry
from slipway.serving.errors import ExitCode, StartError
from slipway.serving.load import locate
from slipway.serving.settings import Options
from tests.unit.provenance.support import FACTS, draft, key_pair


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(f"file://{tmp_path}/registry")


def options(registry: Registry, tmp_path: Path, **given: str) -> Options:
    return Options(model="wine:1", registry=registry.store.uri, cache=tmp_path / "cache", **given)  # type: ignore[arg-type]


def loaded(registry: Registry, tmp_path: Path, **given: str) -> str:
    """The words of the refusal; those about the format mean that the files were fetched."""
    with pytest.raises(StartError) as refused:
        locate(options(registry, tmp_path, **given))
    return str(refused.value)


def test_what_is_attested_is_fetched_and_what_is_not_is_not(registry: Registry, tmp_path: Path) -> None:
    registry.register(draft(registry))
    assert "no ONNX or skops file" in loaded(registry, tmp_path)
    assert "not verified: default/wine:1: provenance" in loaded(registry, tmp_path, verify="provenance")
    other = Registry.open(f"file://{tmp_path}/other")
    other.register(Attester().attest(draft(other), FACTS, other.blobs))
    assert "no ONNX or skops file" in loaded(other, tmp_path, verify="provenance")


def test_signed_means_signed_by_one_of_the_keys(registry: Registry, tmp_path: Path) -> None:
    ours, other = key_pair(tmp_path), key_pair(tmp_path, "other")
    registry.register(Attester(ours.private).attest(draft(registry), FACTS, registry.blobs))
    assert "no ONNX or skops file" in loaded(registry, tmp_path, verify="signed", public_keys=other.pem + ours.pem)
    assert "none of the trusted keys" in loaded(registry, tmp_path, verify="signed", public_keys=other.pem)
    assert "signature" in loaded(registry, tmp_path, verify="signed")


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        ("wine:1", {"verify": "all"}, "--verify all: write one of off, provenance, signed"),
        ("./wine.onnx", {"verify": "signed"}, "a file proves nothing"),
        ("wine:1", {"verify": "signed", "public_keys": "none"}, "--public-keys"),
    ],
)
def test_wrong_usage_names_the_option(registry: Registry, tmp_path: Path, model: str, given: dict[str, str], words: str) -> None:
    registry.register(draft(registry))
    with pytest.raises(StartError, match=words) as refused:
        locate(Options(model=model, registry=registry.store.uri, cache=tmp_path / "cache", **given))  # type: ignore[arg-type]
    assert refused.value.code == ExitCode.USAGE
