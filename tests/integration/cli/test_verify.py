"""`slipway model verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.provenance.attest import Attester
from slipway.registry.records import VersionRecord
from slipway.registry.registry import Registry
from tests.integration.cli.helpers import Cli, register
from tests.integration.web.sample import onnx_model
from tests.unit.provenance.support import FACTS, KeyPair, draft, key_pair


@pytest.fixture
def key(tmp_path: Path) -> KeyPair:
    return key_pair(tmp_path)


def signed(registry: Registry, key: KeyPair | None) -> VersionRecord:
    attester = Attester(key.private if key else None)
    return registry.register(attester.attest(draft(registry), FACTS, registry.blobs))


def test_a_version_that_is_what_it_says(cli: Cli, registry: Registry, key: KeyPair) -> None:
    signed(registry, key)
    done = cli("model", "verify", "wine:1", "--public-key", str(key.public))
    assert done.exit_code == 0, done.stderr
    assert "default/wine:1 is what it says" in done.stdout
    for line in ("provenance", "bom", "signature", "file model.onnx", "report roc.html"):
        assert line in done.stdout


def test_the_answer_for_programs(cli: Cli, registry: Registry, key: KeyPair) -> None:
    signed(registry, key)
    done = cli("model", "verify", "wine", "--policy", "provenance", "-o", "json")
    answer = json.loads(done.stdout)
    assert (answer["version"], answer["policy"], answer["verified"]) == (1, "provenance", True)
    assert {check["name"]: check["outcome"] for check in answer["checks"]}["signature"] == "unchecked"


def test_altered_bytes_end_with_code_1(cli: Cli, registry: Registry) -> None:
    record = signed(registry, None)
    registry.store.put(registry.blobs.key(record.files[0].digest), b"altered")
    done = cli("model", "verify", "wine:1")
    assert done.exit_code == 1
    assert "is not verified" in done.stderr
    assert "corrupt" in done.stderr
    assert cli("model", "verify", "wine:1", "--quick").exit_code == 0


def test_a_version_that_lacks_what_is_demanded(cli: Cli, registry: Registry, key: KeyPair) -> None:
    register(registry)
    assert cli("model", "verify", "bc:1").exit_code == 0
    assert "no provenance statement" in cli("model", "verify", "bc:1", "--policy", "provenance").stderr
    done = cli("model", "verify", "bc:1", "--public-key", str(key.public))
    assert done.exit_code == 1


def test_what_a_person_registers_and_signs_is_verified(cli: Cli, key: KeyPair, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(onnx_model())
    done = cli("model", "register", "bc", str(model), "--metric", "auc=0.9", "--signing-key", str(key.private))
    assert done.exit_code == 0, done.stderr
    assert cli("model", "verify", "bc:1", "--public-key", str(key.public)).exit_code == 0
    wrong = cli("model", "register", "bc", str(model), "--signing-key", str(key.public))
    assert (wrong.exit_code, "--signing-key" in wrong.stderr) == (2, True)


def test_wrong_usage_names_the_option(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    register(registry)
    (tmp_path / "none").write_text("no key")
    done = cli("model", "verify", "bc:1", "--public-key", str(tmp_path / "none"))
    assert (done.exit_code, "--public-key" in done.stderr) == (2, True)
    done = cli("model", "verify", "bc:1", "--policy", "signed")
    assert (done.exit_code, "--public-key" in done.stderr) == (2, True)
    assert cli("model", "verify", "nothing:1").exit_code == 3
