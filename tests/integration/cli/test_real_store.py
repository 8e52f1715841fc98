"""The command line against a real S3 server, reached as a laptop reaches it: by environment variables alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from slipway.cli.main import app
from tests.fakes.stores import ADMIN, BUCKET, READER, Weed, credentials, unused_port
from tests.integration.cli.helpers import Cli, onnx_file


@pytest.fixture(scope="module")
def weed() -> Iterator[Weed]:
    server = Weed()
    server.start()
    yield server
    server.close()


@pytest.fixture
def slipway(weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr("slipway.cli.transfer._signature", lambda _model, _kind: None)
    registry = f"s3://{BUCKET}/{uuid.uuid4()}"
    base = {"SLIPWAY_REGISTRY": registry, "AWS_ENDPOINT_URL_S3": weed.endpoint, "AWS_REGION": "us-east-1", "AWS_PROFILE": None}

    def run(*words: str, **env: str | None) -> Result:
        everything = base | credentials(ADMIN) | {"KUBECONFIG": str(tmp_path / "none")} | env
        result = CliRunner().invoke(app, list(words), env=everything, prog_name="slipway")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_a_model_goes_in_is_promoted_and_comes_out(slipway: Cli, tmp_path: Path) -> None:
    model = onnx_file(tmp_path / "model.onnx")
    made = slipway("model", "register", "bc", str(model), "--metric", "auc=0.9", "--alias", "champion", "-o", "json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["version"] == 1
    assert slipway("models", "-o", "name").stdout == "bc\n"
    assert [move["version"] for move in json.loads(slipway("history", "bc@champion", "-o", "json").stdout)] == [1]
    assert slipway("model", "pull", "bc@champion", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / "model.onnx").read_bytes() == model.read_bytes()
    assert slipway("probe").exit_code == 0


def test_a_reader_may_read_and_is_told_what_may_not_be_written(slipway: Cli, tmp_path: Path) -> None:
    model = onnx_file(tmp_path / "model.onnx")
    slipway("model", "register", "bc", str(model))
    reader = credentials(READER)
    assert slipway("models", "-o", "name", **reader).stdout == "bc\n"
    refused = slipway("alias", "set", "bc@champion", "1", **reader)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert BUCKET in refused.stderr


def test_what_is_wrong_with_the_store_is_one_line(slipway: Cli, tmp_path: Path) -> None:
    wrong = slipway("models", AWS_SECRET_ACCESS_KEY="not the secret")
    nobody = slipway("models", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    bucket = slipway("models", "--registry", "s3://no-such-bucket/x")
    for result in (wrong, nobody, bucket):
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert "not the secret" not in result.stderr
    assert "no-such-bucket" in bucket.stderr
    port = unused_port()
    away = slipway("models", AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{port}")
    assert away.exit_code == 1
    assert str(port) in away.stderr or "answer" in away.stderr
