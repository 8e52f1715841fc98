"""What can go wrong in a training run for a reason of its own; each carries the reason that the build reports."""

from __future__ import annotations

from slipway.training import reasons


class TrainingError(Exception):
    """Base. The message says what is wrong and how to mend it; `reason` is a constant of `slipway.training.reasons`."""

    reason = reasons.TRAINING_FAILED

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class UnknownName(KeyError):
    """A parameter or input that the run was not given. Unlike KeyError's own, its text is plain."""

    def __str__(self) -> str:
        return str(self.args[0])


class FormatRefused(TrainingError):
    """A model file that Slipway does not take: pickle, joblib, untrusted types, or an unknown format."""

    reason = reasons.FORMAT_REFUSED


class ConversionFailed(TrainingError):
    """An estimator that could be kept neither as ONNX nor as skops."""

    reason = reasons.CONVERSION_FAILED


class MetricInvalid(TrainingError, ValueError):
    """A metric whose name or value cannot be kept: no finite number, or a malformed name."""

    reason = reasons.METRIC_INVALID


class ReportInvalid(TrainingError, ValueError):
    """A report whose name or content cannot be kept."""


class NoModel(TrainingError):
    """The run ended without a model."""

    reason = reasons.NO_MODEL


class EntrypointInvalid(TrainingError):
    """``module:function`` that is malformed, does not import, or cannot be called with a Run."""

    reason = reasons.ENTRYPOINT_INVALID


class InvalidParams(TrainingError, ValueError):
    """Parameters that are not scalars."""

    reason = reasons.INVALID_PARAMS
