"""ModelDeployment: serve a version of a model, and go on serving while the next one starts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from slipway.api.common import (
    DNS_LABEL,
    DNS_SUBDOMAIN,
    HISTORY,
    LABEL_WORDS,
    REGISTRY_HOST,
    Digest,
    Message,
    Model,
    Newest,
    ReasonName,
    Resource,
    Time,
    alias_rules,
    rules,
)
from slipway.api.conditions import Condition
from slipway.api.online_store import OnlineStore
from slipway.api.pods import PodTemplate, Replicas, Resources
from slipway.api.rollout import MAX_GATES, MAX_STEPS, Autoscaling, GateVerdict, Mark, RolloutSpec, StepApproval
from slipway.api.traffic import Traffic


class ModelReference(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.alias) != has(self.version)", "model: give exactly one of alias, version"))
    )
    name: str = Field(
        min_length=1,
        max_length=127,
        description="Name of the model in the registry. A bare name means this namespace; namespace/name another"
        " one, which"
        " needs a grant in the operator's policy.",
        json_schema_extra=rules(
            (
                f"self.matches('^({DNS_LABEL[1:-1]}/)?{DNS_SUBDOMAIN[1:-1]}$')",
                f"name: write NAME or NAMESPACE/NAME, each {LABEL_WORDS}",
            )
        ),
    )
    alias: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Alias to follow, for example champion; latest means the highest version. A moved alias starts a roll-out.",
        json_schema_extra=alias_rules("alias", reserved=False),
    )
    version: int | None = Field(default=None, ge=1, le=999999999999, description="Version to serve, a number from 1.")


class AppReference(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.name) != has(self.image)", "app: give exactly one of name, image"))
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Name of an AppBuild in this namespace, whose newest image is used.",
    )
    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=600,
        description="Image by digest: host/path@sha256:… .",
        json_schema_extra=rules(
            (
                f"self.matches('{REGISTRY_HOST}')",
                "image: begin with the registry's host, for example registry.example.com/ml/api@sha256:...",
            ),
            (
                "self.contains('@sha256:')",
                "image: name it by digest (host/path@sha256:...), so that all pods run the same bytes",
            ),
            (
                "!self.contains('@sha256:') || self.matches('^[^@\\\\s]+@sha256:[0-9a-f]{64}$')",
                "image: a digest is sha256: and 64 characters of 0-9 and a-f",
            ),
        ),
    )


class ModelDeploymentSpec(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.autoscaling) || !has(self.autoscaling.targetCPUPercent) || (has(self.resources)"
                " && has(self.resources.requests) && 'cpu' in self.resources.requests)",
                "spec: autoscaling.targetCPUPercent needs resources.requests.cpu: it is a share of that",
            )
        )
    )
    model: ModelReference = Field(description="The model to serve.")
    app: AppReference | None = Field(
        default=None, description="The application around the model. Default: the operator's serving image alone."
    )
    grpc: bool = Field(
        default=False,
        description="Answer gRPC too, the Open Inference Protocol's, on port 9000 of the pods and of the Service. Default: false.",
    )
    replicas: Replicas = Field(default=1, description="Number of pods, 0 to 1000; 0 serves nothing. Default: 1.")
    resources: Resources = Field(
        default_factory=dict, description="CPU, memory and other resources of the serving container. Default: none set."
    )
    pod_template: PodTemplate = Field(
        default_factory=dict,
        description="Anything else of a PodTemplateSpec, merged into the pods: node selector, tolerations, environment,"
        " service account. Default: nothing.",
    )
    progress_deadline_seconds: int = Field(
        default=300,
        ge=1,
        le=86400,
        description="Seconds that a new revision may take to become ready before it is held and the stable one"
        " stays. Default: 300.",
    )
    autoscaling: Autoscaling | None = Field(
        default=None, description="Lets an autoscaler choose the number of pods; spec.replicas does not count then."
    )
    rollout: RolloutSpec | None = Field(
        default=None,
        description="How the next revision takes over. Default: all at once, as soon as all its pods are ready.",
    )
    traffic: Traffic | None = Field(
        default=None, description="How requests come from outside. Default: by the Service alone, inside the cluster."
    )
    online_store: OnlineStore | None = Field(
        default=None,
        description="Where features are read by entity key, for a version that was trained on feature views. Default: the registry's"
        " bucket.",
    )


class Revision(Model):
    """What runs: a model version in an image."""

    revision: str = Field(max_length=63, description="Name of the revision: digest of model, image and serving-relevant spec.")
    version: int = Field(ge=1, description="Version of the model.")
    digest: Digest = Field(description="Root digest of the version's files.")
    image: str = Field(default="", max_length=600, description="The image that serves it.")
    ready_replicas: int | None = Field(default=None, ge=0, description="Pods whose model answers.")
    since: Time | None = Field(default=None, description="Stable: when it took over. Candidate: when it was started.")
    weight: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Candidate: share of the requests it gets, in per cent; with strategy Shadow, of which it gets copies.",
    )
    step: int | None = Field(default=None, ge=0, description="Candidate: index of the step it is at; absent before the first.")
    step_since: Time | None = Field(default=None, description="Candidate: since when the step's pods are ready.")
    approvals: tuple[StepApproval, ...] = Field(
        default=(), max_length=MAX_STEPS + 1, description="Candidate: who let which step begin."
    )
    gates: tuple[GateVerdict, ...] = Field(
        default=(), max_length=MAX_GATES, description="How each gate came out; of the stable revision while it is watched."
    )
    marks: tuple[Mark, ...] = Field(
        default=(), max_length=4 * MAX_GATES, description="Counters that the gates' windows begin with; for the operator only."
    )


class Held(Model):
    """A version that failed and is not tried again until the spec or the version changes."""

    revision: str = Field(max_length=63, description="Name of the revision.")
    version: int = Field(ge=1, description="Version of the model.")
    digest: Digest = Field(description="Root digest of the version's files.")
    reason: ReasonName = Field(description="CamelCase word for the cause.")
    message: Message = Field(default="", description="What happened and what to do about it.")
    since: Time | None = Field(default=None, description="When it was given up.")


class Served(Model):
    revision: str = Field(max_length=63, description="Name of the revision.")
    version: int = Field(ge=1, description="Version of the model.")
    digest: Digest = Field(description="Root digest of the version's files.")
    image: str = Field(default="", max_length=600, description="The image that served it.")
    since: Time | None = Field(default=None, description="When it took over.")
    until: Time | None = Field(default=None, description="When another one took over.")
    reason: ReasonName | None = Field(default=None, description="Why it was taken back, when it was.")


class ModelDeploymentStatus(Model):
    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that this status is about.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Ready, Available, Reconciling, Stalled; their reasons are listed in docs/spec/v1alpha1/model-deployment.md.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    url: str | None = Field(default=None, max_length=512, description="Where requests go inside the cluster.")
    stable: Revision | None = Field(default=None, description="The revision that receives the traffic.")
    candidate: Revision | None = Field(default=None, description="The revision that is starting.")
    held: Held | None = Field(default=None, description="The wanted revision, when it failed and the stable one was kept.")
    history: Annotated[tuple[Served, ...], Newest] = Field(
        default=(),
        max_length=HISTORY,
        description="The last ten revisions that served before the stable one, newest first.",
    )


class ModelDeployment(Resource):
    """Serves a model version behind one Service, and changes to the next only when that one is ready."""

    KIND: ClassVar[str] = "ModelDeployment"
    spec: ModelDeploymentSpec = Field(description="What is to be served.")
    status: ModelDeploymentStatus | None = Field(default=None, description="What is served; written by the operator.")

    def model_name(self) -> tuple[str, str]:
        """Namespace and name of the model in the registry."""
        namespace, slash, name = self.spec.model.name.rpartition("/")
        return (namespace if slash else self.metadata.namespace), name
