"""How a ModelDeployment goes from one revision to the next: steps, gates, the watch after promotion, what people say."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from slipway.api.common import Message, Model, Time, format_time, rules

ANNOTATION_ROLLOUT = "slipway.dev/rollout"
"""On a ModelDeployment: what a person wants of the roll-out under way. See `Order.parse`."""

_DURATION = re.compile(r"([0-9]{1,6})([hms])")
_UNITS = {"h": 3600, "m": 60, "s": 1}
MAX_STEPS = 20
MAX_GATES = 10
DEFAULT_WINDOW = 60


def seconds_of(text: str) -> int:
    """Seconds of a length of time as ``90s``, ``5m``, ``1h30m``. Raises ValueError."""
    if not re.fullmatch(rf"({_DURATION.pattern})+", text):
        raise ValueError(f"{text[:32]!r} is no length of time: write 30s, 5m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


def _check(text: str) -> str:
    seconds_of(text)
    return text


Duration = Annotated[str, AfterValidator(_check), Field(min_length=2, max_length=16)]


def _duration(field: str) -> dict[str, Any]:
    return rules(("self.matches('^([0-9]{1,6}[hms])+$')", f"{field}: write a length of time as 30s, 5m or 1h30m"))


class Step(Model):
    weight: int = Field(ge=1, le=100, description="Share of the requests that the candidate gets, in per cent.")
    hold: Duration = Field(
        default="0s",
        description="How long the step lasts at least, counted from when its pods are ready, for example 60s. Default: 0s.",
        json_schema_extra=_duration("hold"),
    )
    approval: Literal["Automatic", "Manual"] = Field(
        default="Automatic",
        description="Manual: the step begins when a person says so (slipway approve). Default: Automatic.",
    )


class ErrorRateGate(Model):
    max: float | None = Field(default=None, ge=0, le=1, description="Largest share of failed requests, 0 to 1.")
    count_client_errors: bool | None = Field(
        default=None,
        description="Whether answers 400 to 499 count too, as a model with other inputs gives them. Default: false.",
    )


class LatencyGate(Model):
    quantile: float = Field(default=0.99, ge=0.01, le=0.9999, description="Which quantile of the latency, 0 to 1. Default: 0.99.")
    max_milliseconds: float | None = Field(
        default=None, ge=0.01, description="Largest latency at that quantile, in milliseconds."
    )


class DriftGate(Model):
    max_psi: float = Field(
        ge=0.001,
        alias="maxPSI",
        description="Largest population stability index of any input against the training data; 0.2 is a common bound, and"
        " minRequests counts rows.",
    )


class PredictionMixGate(Model):
    max_psi: float = Field(
        ge=0.001,
        alias="maxPSI",
        description="Largest population stability index of any output against the predictions for the training data.",
    )


class PromQLGate(Model):
    query: str = Field(
        min_length=1,
        max_length=2048,
        description="A query that gives one number. $namespace, $name, $revision and $window are replaced.",
    )
    min: float | None = Field(default=None, description="The number must be at least this.")
    max: float | None = Field(default=None, description="The number must be at most this.")


class AgreementGate(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.min) != has(self.maxDistance)", "agreement: give exactly one of min, maxDistance"))
    )
    min: float | None = Field(
        default=None, ge=0, le=1, description="Smallest share of rows that both revisions answer alike, 0 to 1."
    )
    max_distance: float | None = Field(
        default=None, ge=0, description="Largest mean absolute difference of the floating point numbers in a row."
    )


class Compare(Model):
    max_difference: float | None = Field(
        default=None,
        ge=0,
        description="How much larger than the stable revision's the value may be (share of requests, or milliseconds).",
    )
    max_ratio: float | None = Field(
        default=None, ge=0.01, description="How many times the stable revision's value the candidate's may be."
    )


_KINDS = "errorRate, latency, drift, predictionMix, agreement, promql"
GATE_RULES = rules(
    (
        "[has(self.errorRate), has(self.latency), has(self.drift), has(self.predictionMix), has(self.agreement), has(self.promql)]"
        ".exists_one(given, given)",
        f"gate: give exactly one of {_KINDS}",
    ),
    (
        "!has(self.errorRate) || has(self.errorRate.max) || has(self.compare)",
        "gate: errorRate needs max, or compare",
    ),
    (
        "!has(self.latency) || has(self.latency.maxMilliseconds) || has(self.compare)",
        "gate: latency needs maxMilliseconds, or compare",
    ),
    (
        "!has(self.compare) || has(self.errorRate) || has(self.latency)",
        "gate: compare goes with errorRate and latency only",
    ),
    (
        "!has(self.compare) || has(self.compare.maxDifference) || has(self.compare.maxRatio)",
        "gate: compare needs maxDifference or maxRatio",
    ),
    (
        "!has(self.promql) || has(self.promql.min) || has(self.promql.max)",
        "gate: promql needs min or max",
    ),
)


class RolloutGate(Model):
    model_config = ConfigDict(json_schema_extra=GATE_RULES)
    name: str = Field(
        min_length=1,
        max_length=63,
        description="Name of the gate, in status and events.",
        json_schema_extra=rules(
            ("self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')", "name: letters, digits, - _ and .")
        ),
    )
    error_rate: ErrorRateGate | None = Field(default=None, description="Share of requests that the model server failed.")
    latency: LatencyGate | None = Field(default=None, description="Time from a request's headers to its answer.")
    drift: DriftGate | None = Field(default=None, description="How far the inputs are from the training data.")
    prediction_mix: PredictionMixGate | None = Field(
        default=None, description="How far the predictions are from those for the training data."
    )
    agreement: AgreementGate | None = Field(
        default=None, description="Strategy Shadow: how far the candidate's answers are from the stable revision's."
    )
    promql: PromQLGate | None = Field(default=None, description="Any query to the installation's Prometheus.")
    compare: Compare | None = Field(
        default=None, description="Compares the candidate with the stable revision over the same window."
    )
    window: Duration = Field(
        default="60s",
        description="Over how much of the recent past the gate looks, 10s to 1h. Default: 60s.",
        json_schema_extra=_duration("window"),
    )
    min_requests: int = Field(
        default=1, ge=1, le=1000000000, description="With fewer requests in the window there is no data. Default: 1."
    )
    on_no_data: Literal["Hold", "Pass", "Fail"] = Field(
        default="Hold",
        description="Without data: Hold waits for some, Pass goes on, Fail takes the candidate back after one window without."
        " Default: Hold.",
    )


_BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


def _gates(description: str) -> Any:
    return Field(default=(), max_length=MAX_GATES, description=description, json_schema_extra=_BY_NAME)


class Watch(Model):
    for_: Duration = Field(
        alias="for",
        description="How long the gates go on being looked at after the promotion, for example 30m.",
        json_schema_extra=_duration("for"),
    )
    rollback: bool = Field(default=True, description="Whether a failed gate brings the revision before back. Default: true.")
    gates: tuple[RolloutGate, ...] = _gates(
        "Gates after promotion. Default: those of rollout.gates, without compare and without those of agreement."
    )


ROLLOUT_RULES = rules(
    (
        "self.strategy != 'Canary' || (has(self.steps) && size(self.steps) > 0)",
        "rollout: Canary needs steps, for example [{weight: 10, hold: 1m}, {weight: 50, hold: 1m}]",
    ),
    (
        "self.strategy != 'Shadow' || (has(self.steps) && size(self.steps) > 0)",
        "rollout: Shadow needs steps, for example [{weight: 100, hold: 10m}]",
    ),
    (
        "self.strategy in ['Canary', 'Shadow'] || !has(self.steps) || size(self.steps) == 0",
        "rollout: only strategies Canary and Shadow have steps",
    ),
    (
        "self.strategy == 'Shadow' || (!has(self.shadow) && (!has(self.gates) || !self.gates.exists(gate, has(gate.agreement))))",
        "rollout: shadow and gates with agreement go with strategy Shadow only",
    ),
    (
        "!has(self.watch) || !has(self.watch.gates) || !self.watch.gates.exists(gate, has(gate.agreement))",
        "rollout: after the promotion there is nothing to agree with; leave agreement out of watch.gates",
    ),
    (
        "!has(self.steps) || self.steps.map(step, step.weight).isSorted()",
        "rollout: weights must not fall from one step to the next",
    ),
    (
        "!has(self.watch) || has(self.watch.gates) || (has(self.gates) && !self.gates.all(gate, has(gate.agreement)))",
        "rollout: there is no gate to watch; give gates or watch.gates",
    ),
)


class ShadowSpec(Model):
    tolerance: float | None = Field(
        default=None,
        ge=0,
        le=1000000,
        description="By how much floating point numbers may differ and still agree, as a part of the larger one, or as it stands where"
        " both are below 1. Rows with labels or whole numbers agree when these are equal. Default: 0.01.",
    )


class RolloutSpec(Model):
    model_config = ConfigDict(json_schema_extra=ROLLOUT_RULES)
    strategy: Literal["Canary", "BlueGreen", "Shadow", "Recreate"] = Field(
        default="Canary",
        description="Canary: step by step. BlueGreen: a full second set, then all at once. Shadow: the"
        " candidate answers copies of requests, its answers are compared and dropped, then it takes over. Recreate: the old pods end before the"
        " new ones start, for models that fit once. Default: Canary.",
    )
    steps: tuple[Step, ...] = Field(
        default=(),
        max_length=MAX_STEPS,
        description="Canary: weights that rise, and how long each is held. Shadow: of how many requests copies are made.",
    )
    approval: Literal["Automatic", "Manual"] = Field(
        default="Automatic",
        description="Manual: waits before the first step with approval Manual; when none has it, before the candidate gets its"
        " first request. Default: Automatic.",
    )
    interval: Duration = Field(
        default="10s",
        description="How often the gates are looked at, 5s to 10m. Default: 10s.",
        json_schema_extra=_duration("interval"),
    )
    gates: tuple[RolloutGate, ...] = _gates("Conditions on what the candidate does. One that fails takes it back at once.")
    shadow: ShadowSpec | None = Field(default=None, description="How answers are compared, for strategy Shadow.")
    watch: Watch | None = Field(default=None, description="What is looked at after the promotion. Default: nothing.")
    rollback_window: Duration = Field(
        default="10m",
        description="How long the pods of the revision before stay ready after a change, so that a way back takes seconds."
        " Default: 10m.",
        json_schema_extra=_duration("rollbackWindow"),
    )


class Autoscaling(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.min <= self.max", "autoscaling: min must not be above max"),
            (
                "has(self.targetCPUPercent) || has(self.targetRequestsPerSecond)",
                "autoscaling: give targetCPUPercent, targetRequestsPerSecond, or both",
            ),
        )
    )
    min: int = Field(default=1, ge=1, le=1000, description="Fewest pods, 1 to 1000. Default: 1.")
    max: int = Field(ge=1, le=1000, description="Most pods, 1 to 1000.")
    target_cpu_percent: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        alias="targetCPUPercent",
        description="CPU use of a pod to aim at, in per cent of resources.requests.cpu, which has to be given.",
    )
    target_requests_per_second: int | None = Field(
        default=None,
        ge=1,
        le=1000000,
        description="Requests per second of a pod to aim at. With KEDA and the chart's value prometheus.url, as Prometheus counts them;"
        " else the metric slipway_requests_per_second of the custom metrics API.",
    )


# ---- status ----


class GateVerdict(Model):
    """How a gate came out when it was looked at last."""

    name: str = Field(max_length=63, description="The gate.")
    verdict: Literal["Pass", "Fail", "NoData"] = Field(description="Pass, Fail or NoData.")
    value: str | None = Field(default=None, max_length=64, description="What was measured.")
    requests: int | None = Field(default=None, ge=0, description="Over how many requests.")
    message: Message = Field(default="", description="The comparison in words.")
    at: Time | None = Field(default=None, description="When it was measured.")
    since: Time | None = Field(default=None, description="Since when the verdict is this one.")


class Mark(Model):
    """Counters of a revision's pods at one time: what later readings are compared with."""

    window: int = Field(ge=1, description="Window in seconds that the mark is for.")
    at: Time = Field(description="When the counters were read.")
    pods: dict[str, Annotated[str, Field(max_length=512)]] = Field(
        default_factory=dict, max_length=32, description="Counters by pod: start, requests, errors, latency buckets."
    )


class StepApproval(Model):
    """Who let a step begin."""

    step: int = Field(ge=0, description="Index of the step; the number of steps stands for the promotion.")
    by: str = Field(default="", max_length=253, description="Who.")
    reason: str = Field(default="", max_length=1024, description="Why.")
    at: Time | None = Field(default=None, description="When it was seen.")


# ---- what people say ----

Action = Literal["pause", "resume", "promote", "abort", "retry"]


class Order(Model):
    """What the annotation ``slipway.dev/rollout`` says: what a person wants of the roll-out of one revision."""

    action: Action
    revision: str = Field(max_length=63)
    step: int | None = None
    """promote: index of the step that it lets begin; None: all that are left."""
    since: str | None = None
    """status.candidate.since, or status.held.since, of what is meant: an order is not for a later try of the same revision."""
    by: str = ""
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> Order | None:
        """From the annotation's value, JSON ``{"action": "abort", "revision": "3f9a…", "since": "…Z", "by": "ann"}``. None when
        it is something else: a wrong order orders nothing."""
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, RecursionError):
            return None

    def concerns(self, revision: str, since: datetime | None) -> bool:
        """Whether the order is about the revision that has been a candidate, or held, since `since`."""
        return self.revision == revision and (self.since is None or (since is not None and self.since == format_time(since)))

    def to_annotation(self) -> str:
        """The value that `parse` reads back."""
        return json.dumps(self.to_dict(), ensure_ascii=False)
