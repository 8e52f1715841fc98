"""Outcomes of an attempt, the words in which a training pod and the operator say them. Plain strings: who only names one, as a
model server that refuses a pickle does, must not wait for pydantic."""

from __future__ import annotations

# Those in RETRYABLE may pass when tried again; the others need a person or a new spec.
TRAINED = "Trained"
SOURCE_MISSING = "SourceMissing"
SOURCE_INVALID = "SourceInvalid"
SOURCE_CHANGED = "SourceChanged"
INPUT_MISSING = "InputMissing"
INPUT_CHANGED = "InputChanged"
INVALID_PARAMS = "InvalidParams"
ENTRYPOINT_INVALID = "EntrypointInvalid"
TRAINING_FAILED = "TrainingFailed"
NO_MODEL = "NoModel"
FORMAT_REFUSED = "FormatRefused"
CONVERSION_FAILED = "ConversionFailed"
METRIC_INVALID = "MetricInvalid"
STORE_UNAVAILABLE = "StoreUnavailable"
STORE_DENIED = "StoreDenied"
# Outcomes that the operator reads from the Job when the pod could not say.
OUT_OF_MEMORY = "OutOfMemory"
DEADLINE_EXCEEDED = "DeadlineExceeded"
JOB_GONE = "JobGone"
POD_FAILED = "PodFailed"

RETRYABLE = frozenset({TRAINING_FAILED, STORE_UNAVAILABLE, OUT_OF_MEMORY, JOB_GONE, POD_FAILED})
