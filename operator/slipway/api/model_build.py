"""ModelBuild: train, evaluate, register."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from slipway.api.build_inputs import Input
from slipway.api.common import (
    DNS_LABEL,
    LABEL_WORDS,
    ConfigMapSource,
    GitSource,
    Model,
    Resource,
    S3Source,
    alias_rules,
    entrypoint_rules,
    rules,
)
from slipway.api.model_build_status import ModelBuildStatus
from slipway.api.pods import PodTemplate, Resources

Scalar = bool | int | float | str
MAX_PARAMS = 100


class ImageSource(Model):
    """The code is in trainer.image already: nothing to say."""


class Source(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.configMap), has(self.s3), has(self.git), has(self.image)].exists_one(given, given)",
                "source: give exactly one of configMap, s3, git, image",
            )
        )
    )
    config_map: ConfigMapSource | None = Field(default=None, description="Code in a ConfigMap of this namespace.")
    s3: S3Source | None = Field(default=None, description="Code in the object store.")
    git: GitSource | None = Field(default=None, description="Code in a Git repository.")
    image: ImageSource | None = Field(
        default=None, description="Write image: {} when the code is already in trainer.image, which is then required."
    )


class Trainer(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(self.entrypoint) || !has(self.command)", "trainer: give entrypoint or command, not both"),
            (
                "!has(self.entrypoint) || !has(self.args)",
                "trainer: args belong to command; give values to an entrypoint by params",
            ),
            (
                "has(self.entrypoint) || has(self.command) || (has(self.image) && self.image != '')",
                "trainer: give an entrypoint (module:function), or an image with its own command",
            ),
        )
    )
    image: str | None = Field(
        default=None,
        max_length=512,
        description="Container image to train in. Default: the operator's training image (Python, scikit-learn, skl2onnx).",
        json_schema_extra=rules(("!self.matches('\\\\s')", "image: an image reference has no white space in it")),
    )
    entrypoint: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="module:function in the source, called with a slipway.training.Run. Not together with command.",
        json_schema_extra=entrypoint_rules("entrypoint", "train:main"),
    )
    command: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(
        default=(),
        max_length=64,
        description="Command of any other container; it reads and writes files as docs/training.md says. Default:"
        " the image's own.",
    )
    args: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(
        default=(), max_length=256, description="Arguments of command, or of the image's own command."
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        max_length=MAX_PARAMS,
        description="Parameters of the training code: strings, numbers and booleans by name, handed over as JSON."
        " Part of the build identity.",
        json_schema_extra={"additionalProperties": None, "x-kubernetes-preserve-unknown-fields": True},
    )
    resources: Resources = Field(
        default_factory=dict,
        description="CPU, memory and other resources of the training container. Default: none set.",
    )
    pod_template: PodTemplate = Field(
        default_factory=dict,
        description="Anything else of a PodTemplateSpec, merged into the pod: node selector, tolerations, volumes,"
        " environment,"
        " service account. Default: nothing.",
    )


class Gate(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.min), has(self.max), has(self.noWorseThan)].exists_one(given, given)",
                "gate: give exactly one of min, max, noWorseThan",
            ),
            ("!has(self.tolerance) || has(self.noWorseThan)", "gate: tolerance goes with noWorseThan only"),
            ("!has(self.lowerIsBetter) || has(self.noWorseThan)", "gate: lowerIsBetter goes with noWorseThan only"),
        )
    )
    metric: str = Field(
        min_length=1,
        max_length=100,
        description="Name of a metric that the training code logs.",
        json_schema_extra=rules(
            ("self.matches('^[A-Za-z_][A-Za-z0-9_./-]*$')", "metric: letters, digits and _ . / -, a letter or _ first")
        ),
    )
    min: float | None = Field(default=None, description="The metric must be at least this (unit of the metric).")
    max: float | None = Field(default=None, description="The metric must be at most this (unit of the metric).")
    no_worse_than: str | None = Field(
        default=None,
        max_length=63,
        description="Alias whose version is compared with: the metric must not be worse than its, but for the"
        " tolerance."
        " Holds when the alias does not exist yet.",
        json_schema_extra=alias_rules("noWorseThan", reserved=False),
    )
    tolerance: float | None = Field(
        default=None,
        ge=0,
        description="How much worse the metric may be (unit of the metric). Only with noWorseThan. Default: 0.",
    )
    lower_is_better: bool | None = Field(
        default=None,
        description="Whether a smaller value is better, as for an error. Only with noWorseThan. Default: false.",
    )


class Evaluation(Model):
    gates: tuple[Gate, ...] = Field(
        default=(),
        max_length=20,
        description="Conditions on metrics. All must hold, or the version is registered but not promoted.",
    )
    on_missing: Literal["Fail", "Ignore"] = Field(
        default="Fail", description="What a gate does whose metric was never logged: Fail or Ignore. Default: Fail."
    )


class Promotion(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.approvalDeadlineSeconds) || self.approval == 'Manual'",
                "promotion: approvalDeadlineSeconds goes with approval: Manual only",
            )
        )
    )
    alias: str = Field(
        min_length=1,
        max_length=63,
        description="Alias of the model that is moved to a version whose gates hold, for example champion.",
        json_schema_extra=alias_rules("alias", reserved=True),
    )
    approval: Literal["Automatic", "Manual"] = Field(
        default="Automatic",
        description="Automatic: moved at once. Manual: moved when a person says so (slipway approve). Default: Automatic.",
    )
    approval_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        le=31536000,
        description="Seconds that a version waits for its approval, at most one year; then it is not promoted any more, as if it"
        " had been refused. Default: it waits for ever.",
    )


CRON = "@(hourly|daily|midnight|weekly|monthly|yearly|annually)|([^\\\\s]+\\\\s+){4}[^\\\\s]+"


class Schedule(Model):
    cron: str = Field(
        min_length=1,
        max_length=100,
        description="When to build: five cron fields (minute, hour, day, month, weekday), or @hourly, @daily, @weekly,"
        " @monthly, @yearly. Source and inputs are looked at then; a build that would be the same again is not made.",
        json_schema_extra=rules(
            (f"self.matches('^({CRON})$')", "cron: five fields, as 0 3 * * * for 3 at night, or @daily and its like")
        ),
    )
    time_zone: str = Field(
        default="Etc/UTC",
        min_length=1,
        max_length=64,
        description="Zone of the schedule's times, as Europe/Berlin. Default: Etc/UTC.",
        json_schema_extra=rules(
            ("self.matches('^[A-Za-z0-9_+/-]+$')", "timeZone: the name of a time zone, as Europe/Berlin or Etc/UTC")
        ),
    )
    starting_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        le=31536000,
        description="How late, in seconds, a missed time may still start a build. Default: however late.",
    )
    concurrency_policy: Literal["Forbid", "Replace"] = Field(
        default="Forbid",
        description="What a time does while a build runs. Forbid: waits for its end. Replace: ends it. Default: Forbid.",
    )


class Triggers(Model):
    on_input_change: bool = Field(
        default=False,
        description="true: a change of an input, or of the source in S3 or Git, starts a build. Default: false.",
    )
    debounce_seconds: int = Field(
        default=30,
        ge=0,
        le=86400,
        description="Seconds that a change has to stand still before it counts; one that never does counts after ten times"
        " that. Default: 30.",
    )


class Retry(Model):
    limit: int = Field(
        default=2,
        ge=0,
        le=10,
        description="How many times a failed attempt is tried again, where another try can help. Default: 2.",
    )
    backoff_seconds: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="Seconds before the first retry; doubled for each further one, at most 3600. Default: 30.",
    )


class Retention(Model):
    versions: int = Field(
        ge=1,
        le=100000,
        description="How many of the model's newest versions keep their files. Older ones do too while an alias or a"
        " deployment uses them, or an alias did in the last 30 days. Records are never deleted.",
    )


class ModelBuildSpec(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.source.image) || (has(self.trainer.image) && self.trainer.image != '')",
                "trainer.image: required with source.image, because the code is expected in it",
            )
        )
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Name of the model in the registry, in this namespace. Default: metadata.name.",
        json_schema_extra=rules(
            (
                "!self.contains('/')",
                "model: give the name alone; a build writes to the models of its own namespace only",
            ),
            (f"self.contains('/') || self.matches('{DNS_LABEL}')", f"model: {LABEL_WORDS}"),
        ),
    )
    source: Source = Field(description="Where the training code is: exactly one of configMap, s3, git, image.")
    trainer: Trainer = Field(description="What runs the code.")
    inputs: tuple[Input, ...] = Field(
        default=(),
        max_length=32,
        description="Data, mounted read-only under /slipway/inputs/<name>. Its digests are part of the build identity.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    evaluation: Evaluation | None = Field(default=None, description="What a version must reach to be promoted. Default: nothing.")
    promotion: Promotion | None = Field(
        default=None, description="Which alias is moved to a version whose gates hold. Default: none is moved."
    )
    retention: Retention | None = Field(default=None, description="Which versions of the model keep their files. Default: all.")
    schedule: Schedule | None = Field(default=None, description="Times at which a build starts by itself. Default: none.")
    triggers: Triggers | None = Field(
        default=None, description="Changes that start a build by themselves. Default: none but those of this resource."
    )
    retry: Retry | None = Field(
        default=None, description="What happens after a failed attempt. Default: two retries after 30 and 60 seconds."
    )
    deadline_seconds: int = Field(
        default=3600, ge=1, le=2592000, description="Seconds that one attempt may take, at most 30 days. Default: 3600."
    )
    suspend: bool = Field(default=False, description="true: start no new attempt; one that runs is not ended. Default: false.")
    rebuild: str | None = Field(
        default=None,
        max_length=128,
        description="Any word; a new one forces a build even if a version of the same identity exists (slipway rebuild sets it).",
    )

    @property
    def retry_limit(self) -> int:
        return (self.retry or Retry()).limit

    @property
    def backoff_seconds(self) -> int:
        return (self.retry or Retry()).backoff_seconds


class ModelBuild(Resource):
    """Trains a model, evaluates it and registers it as a version; moves an alias to it when its gates hold."""

    KIND: ClassVar[str] = "ModelBuild"
    spec: ModelBuildSpec = Field(description="What is to be built.")
    status: ModelBuildStatus | None = Field(default=None, description="What was built; written by the operator.")

    @property
    def model(self) -> str:
        """Name in the registry: ``<namespace>/<model>``."""
        return f"{self.metadata.namespace}/{self.spec.model or self.metadata.name}"


def params_problem(params: Mapping[str, Any]) -> str | None:
    """What is wrong with `params`, in words that name the parameter; None when all are scalars that JSON can carry."""
    for name, value in params.items():
        if not isinstance(value, (bool, int, float, str)):
            what = "null" if value is None else "a list" if isinstance(value, list) else "an object"
            return f"trainer.params.{name} is {what}; write a string, a number or a boolean (text that holds JSON will do)"
        if isinstance(value, float) and not math.isfinite(value):
            return f"trainer.params.{name} is {value}; write a finite number"
        if isinstance(value, str) and len(value) > 16384:
            return f"trainer.params.{name} is {len(value)} characters long, at most 16384; put large data into an input"
    return None
