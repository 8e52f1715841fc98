from __future__ import annotations

import errno

import pytest

from slipway.registry.documents import load
from slipway.registry.errors import CorruptBlob
from slipway.sources.errors import InputChanged, SourceMissing, SourceUnavailable
from slipway.storage.port import Denied, OutcomeUnknown, StorageError, Unavailable
from slipway.training import contract
from slipway.training.contract import BuildRequest
from slipway.training.errors import FormatRefused, MetricInvalid, NoModel
from slipway.training.failures import failure_of, patiently, without_secrets


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NoModel("x"), contract.NO_MODEL),
        (FormatRefused("x"), contract.FORMAT_REFUSED),
        (MetricInvalid("x"), contract.METRIC_INVALID),
        (SourceMissing("x"), contract.SOURCE_MISSING),
        (InputChanged("x"), contract.INPUT_CHANGED),
        (Denied("x"), contract.STORE_DENIED),
        (Unavailable("x"), contract.STORE_UNAVAILABLE),
        (OutcomeUnknown("x"), contract.STORE_UNAVAILABLE),
        (CorruptBlob("x"), contract.SOURCE_INVALID),
        (OSError(errno.ENOSPC, "No space left on device"), contract.POD_FAILED),
        (RuntimeError("x"), contract.POD_FAILED),
    ],
)
def test_each_error_has_its_reason(error: Exception, reason: str) -> None:
    failure = failure_of(error)
    assert failure.reason == reason
    assert failure.message


def test_parameters_that_are_no_scalars_are_named() -> None:
    request = (
        b'{"model": "a/b", "buildId": "sha256:%s", "attempt": 1, "params": {"layers": [1, 2]}, '
        b'"source": {"kind": "image", "uri": "x", "digest": "sha256:%s"}}' % (b"a" * 64, b"b" * 64)
    )
    with pytest.raises(Exception) as caught:
        load(BuildRequest, request, "request.json")
    assert failure_of(caught.value).reason == contract.INVALID_PARAMS  # type: ignore[arg-type]
    assert "params.layers" in failure_of(caught.value).message  # type: ignore[arg-type]


def test_no_secret_is_in_a_message() -> None:
    environment = {"AWS_SECRET_ACCESS_KEY": "s3cr3t-s3cr3t", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "HOME": "/tmp"}
    text = "cannot reach https://user:hunter2@host/x with AKIAEXAMPLE and s3cr3t-s3cr3t in /tmp"
    cleaned = without_secrets(text, environment)
    assert "hunter2" not in cleaned
    assert "s3cr3t" not in cleaned
    assert "AKIAEXAMPLE" not in cleaned
    assert cleaned.endswith("in /tmp")


def test_a_long_message_is_cut_to_what_a_result_holds() -> None:
    assert len(without_secrets("x" * 100_000, {})) <= 4096


class Clock:
    """Time that passes in sleep alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.mark.parametrize("error", [Unavailable("down"), SourceUnavailable("down")])
def test_an_outage_is_waited_out_with_growing_pauses(error: Exception) -> None:
    clock, answers, told = Clock(), iter([error, error, error]), list[str]()

    def call() -> str:
        for failing in answers:
            raise failing
        return "done"

    assert patiently(call, seconds=60, tell=told.append, sleep=clock.sleep, clock=clock) == "done"
    assert clock.pauses == [1.0, 2.0, 4.0]
    assert told == ["down; trying again in 1 s", "down; trying again in 2 s", "down; trying again in 4 s"]


def test_patience_ends() -> None:
    clock = Clock()

    def call() -> None:
        raise Unavailable("down")

    with pytest.raises(Unavailable):
        patiently(call, seconds=60, tell=lambda _: None, sleep=clock.sleep, clock=clock)
    assert clock.now <= 60


@pytest.mark.parametrize("error", [Denied("no"), StorageError("odd"), ValueError("bug")])
def test_what_does_not_pass_is_not_waited_for(error: Exception) -> None:
    clock = Clock()

    def call() -> None:
        raise error

    with pytest.raises(type(error)):
        patiently(call, seconds=60, tell=lambda _: None, sleep=clock.sleep, clock=clock)
    assert clock.pauses == []
