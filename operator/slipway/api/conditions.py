"""Conditions: every type and every reason that Slipway writes, each documented once, and how a list of them is merged.

Readers rely on the words below (dashboards, Argo CD, ``kubectl wait``), so a reason is never renamed. Polarity:

- **done** goes with Ready=True;
- **working** with Ready=False (Unknown at first visit) and Reconciling=True;
- **waiting** with Ready=False and Reconciling=True: what is missing may appear, and then it heals by itself;
- **stalled** with Ready=False and Stalled=True: a person or a new spec is needed;
- **paused** with Ready=False alone: a person asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import Field

from slipway.api.common import Message, Model, ReasonName, Time

READY = "Ready"
AVAILABLE = "Available"
RECONCILING = "Reconciling"
STALLED = "Stalled"

TYPES: Mapping[str, str] = {
    READY: "Always present. True: what spec asks for, as of observedGeneration, is done. False or Unknown: the"
    " reason says"
    " what is under way or missing.",
    AVAILABLE: "ModelDeployment only, always present. True: traffic is being served now, whatever else goes on.",
    RECONCILING: "Present, and then True, only while work is under way or something is awaited that heals by itself.",
    STALLED: "Present, and then True, only when a person or a new spec is needed.",
}
_ORDER = {kind: place for place, kind in enumerate(TYPES)}

Status = Literal["True", "False", "Unknown"]
Polarity = Literal["done", "working", "waiting", "stalled", "paused"]


class Condition(Model):
    """One condition, as Kubernetes' metav1.Condition."""

    type: str = Field(max_length=64, description="Ready, Available, Reconciling or Stalled.")
    status: Status = Field(description="True, False or Unknown.")
    reason: ReasonName = Field(description="CamelCase word for the state, for programs.")
    message: Message = Field(default="", description="The same for people: what is the case, and what to do about it.")
    last_transition_time: Time | None = Field(default=None, description="When status last changed.")
    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that this was derived from.")


def merge(old: Sequence[Condition], new: Iterable[Condition], now: datetime) -> tuple[Condition, ...]:
    """The conditions to write: exactly those of `new`, whose transition time is the old one unless the status changed.

    Reconciling and Stalled that are not True are left out, types that `new` does not hold are dropped, and the order is
    always the same, so that two equal states are written equally.
    """
    before = {condition.type: condition for condition in old}
    merged = []
    for condition in {c.type: c for c in new}.values():
        if condition.type in (RECONCILING, STALLED) and condition.status != "True":
            continue
        last = before.get(condition.type)
        since = last.last_transition_time if last and last.status == condition.status else None
        merged.append(condition.model_copy(update={"last_transition_time": since or now.replace(microsecond=0)}))
    return tuple(sorted(merged, key=lambda c: (_ORDER.get(c.type, len(_ORDER)), c.type)))


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """The condition of type `kind`."""
    return next((condition for condition in conditions if condition.type == kind), None)


@dataclass(frozen=True)
class Reason:
    """A reason as documented: on which kinds it is seen, with which polarity, what it means (and what helps)."""

    name: str
    kinds: frozenset[str]
    polarity: Polarity
    meaning: str


REASONS: dict[str, Reason] = {}
"""All reasons by name, for the spec pages and their test."""

_B, _A, _D, _V = "ModelBuild", "AppBuild", "ModelDeployment", "FeatureView"
_BUILDS, _ALL = (_B, _A), (_B, _A, _D)  # kinds with pods
_EVERY = (*_ALL, _V)


def _reason(name: str, kinds: str | tuple[str, ...], polarity: Polarity, meaning: str) -> str:
    REASONS[name] = Reason(name, frozenset((kinds,) if isinstance(kinds, str) else kinds), polarity, meaning)
    return name


# ---- done ----
REGISTERED = _reason("Registered", _B, "done", "The version is in the registry; no promotion is asked for.")
PROMOTED = _reason("Promoted", _B, "done", "The version is in the registry, its gates hold, and the alias points to it.")
AWAITING_APPROVAL = _reason(
    "AwaitingApproval",
    _B,
    "done",
    "The version is in the registry and its gates hold; a person has to approve the promotion (`slipway approve NAME`).",
)
PUSHED = _reason("Pushed", _A, "done", "The image is in its repository; status.image names it by digest.")
SERVING = _reason("Serving", _D, "done", "The wanted version is ready on all replicas and receives the traffic.")
NO_REPLICAS = _reason("NoReplicas", _D, "done", "spec.replicas is 0, so nothing is served. Available is False with this reason.")

APPLIED = _reason("Applied", _V, "done", "The definition is the present revision in the feature store.")

# ---- working ----
PROMOTING = _reason(
    "Promoting",
    _B,
    "working",
    "The alias points to the version; ModelDeployments of this namespace that follow it have not begun with it yet. For so long this is not "
    "Ready, so that whoever waits for both never finds everything done between the two. Half a minute at most.",
)
PENDING = _reason("Pending", _EVERY, "working", "Seen for the first time, or the spec is new; nothing has been decided yet.")
BUILDING = _reason("Building", _BUILDS, "working", "The Job of the build exists and has not finished.")
RETRYING = _reason(
    "Retrying",
    _BUILDS,
    "working",
    "An attempt failed and another one follows at status.build.retryAfter; the message says why.",
)
REGISTERING = _reason("Registering", _B, "working", "The attempt succeeded; the version is being written to the registry.")
CANDIDATE_STARTING = _reason(
    "CandidateStarting",
    _D,
    "working",
    "Another revision is starting; the stable one, if there is one, goes on serving.",
)
CANDIDATE_PROGRESSING = _reason(
    "CandidateProgressing",
    _D,
    "working",
    "The candidate gets a share of the requests, step by step (status.candidate.weight); its gates are looked at.",
)
WAITING_FOR_APPROVAL = _reason(
    "WaitingForApproval",
    _D,
    "working",
    "The next step of the roll-out begins when a person says so (`slipway approve NAME`).",
)
ROLLING_BACK = _reason(
    "RollingBack",
    _D,
    "working",
    "A gate failed after the promotion; the revision before is started and takes over as soon as it is ready.",
)
ROUTE_PENDING = _reason(
    "RoutePending", _D, "working", "The HTTPRoute of spec.traffic.gateway is written; its gateway has not answered for it yet."
)
NOT_READY = _reason("NotReady", _D, "working", "The serving revision has fewer ready replicas than spec.replicas asks for.")

# ---- waiting: heals by itself when what is missing appears ----
SOURCE_MISSING = _reason("SourceMissing", _BUILDS, "waiting", "The ConfigMap, object, prefix, repository or ref does not exist.")
INPUT_MISSING = _reason("InputMissing", _B, "waiting", "The object or prefix of an input does not exist.")
BASE_MISSING = _reason("BaseMissing", _A, "waiting", "The base image is not in its registry.")
SECRET_MISSING = _reason(
    "SecretMissing",
    _ALL,
    "waiting",
    "A Secret that the pods need is not in this namespace: the store's, or output.credentialsSecret.",
)
STORE_UNAVAILABLE = _reason("StoreUnavailable", _EVERY, "waiting", "The object store does not answer. Tried again with back-off.")
RECORD_UNREADABLE = _reason(
    "RecordUnreadable",
    _EVERY,
    "waiting",
    "A document in the registry was written by a newer Slipway, or is broken; the message names it. What serves goes on serving.",
)
REGISTRY_UNAVAILABLE = _reason(
    "RegistryUnavailable", _A, "waiting", "The image registry does not answer. Tried again with back-off."
)
API_UNAVAILABLE = _reason(
    "ApiUnavailable", _EVERY, "waiting", "The API server does not answer or asks for patience. Tried again."
)
INTERNAL_ERROR = _reason(
    "InternalError", _EVERY, "waiting", "An error in the operator itself; its log has the details. Tried again."
)
GIT_UNAVAILABLE = _reason("GitUnavailable", _BUILDS, "waiting", "The Git server does not answer. Tried again with back-off.")
MODEL_NOT_FOUND = _reason(
    "ModelNotFound", _D, "waiting", "The registry has no model of this name; the message lists close names."
)
ALIAS_NOT_FOUND = _reason("AliasNotFound", _D, "waiting", "The model has no such alias yet; it appears with the first promotion.")
VERSION_NOT_FOUND = _reason("VersionNotFound", _D, "waiting", "The model has no such version.")
GATEWAY_MISSING = _reason(
    "GatewayMissing",
    _D,
    "waiting",
    "Gateway API is not installed, or no gateway answers for the HTTPRoute: spec.traffic.gateway names one that is not there, or"
    " its controller does not run. The stable revision serves, and no candidate gets a weight.",
)
ROUTE_REFUSED = _reason(
    "RouteRefused",
    _D,
    "waiting",
    "A gateway does not take the HTTPRoute, or cannot resolve what it refers to; its words follow. The stable revision serves, and"
    " no candidate gets a weight.",
)
NOT_VERIFIED = _reason(
    "NotVerified", _D, "stalled", "The version cannot prove what the operator's policy demands: provenance, signature."
)
APP_BUILD_NOT_FOUND = _reason("AppBuildNotFound", _D, "waiting", "There is no AppBuild of this name in the namespace.")
IMAGE_NOT_READY = _reason("ImageNotReady", _D, "waiting", "The AppBuild has not pushed an image yet.")
VIEW_NOT_FOUND = _reason(
    "ViewNotFound", _V, "waiting", "A feature view that source.sql reads is not in the feature store; the message names it."
)
TABLE_NOT_FOUND = _reason(
    "TableNotFound", _V, "waiting", "The definition is applied, but there is no Delta table at source.delta."
)
BLOB_MISSING = _reason(
    "BlobMissing",
    _D,
    "waiting",
    "The version's record is there, but files of it are not in the store or are not what they were.",
)

# ---- stalled: needs a person or a new spec ----
INVALID_SPEC = _reason("InvalidSpec", _EVERY, "stalled", "A field says something that cannot be; the message names it.")
DEFINITION_REFUSED = _reason(
    "DefinitionRefused",
    _V,
    "stalled",
    "The definition cannot follow the one that is in force: rows that are there could not be read by it. That one stays.",
)
INVALID_PARAMS = _reason(
    "InvalidParams", _B, "stalled", "A value in trainer.params is not a string, a finite number or a boolean."
)
SOURCE_INVALID = _reason(
    "SourceInvalid", _BUILDS, "stalled", "The source exists but cannot be used: not readable, unsafe, or too large."
)
SOURCE_CHANGED = _reason("SourceChanged", _BUILDS, "stalled", "The source changed while it was being read, in every attempt.")
INPUT_CHANGED = _reason("InputChanged", _B, "stalled", "An input changed while it was being read, in every attempt.")
ENTRYPOINT_INVALID = _reason(
    "EntrypointInvalid", _BUILDS, "stalled", "The entrypoint's module or attribute is not in the source."
)
TRAINING_FAILED = _reason("TrainingFailed", _B, "stalled", "The training code raised or ended with an error, in every attempt.")
NO_MODEL = _reason("NoModel", _B, "stalled", "The training code ended well but saved no model.")
FORMAT_REFUSED = _reason("FormatRefused", _B, "stalled", "The model is in a format that is not accepted, such as pickle.")
CONVERSION_FAILED = _reason("ConversionFailed", _B, "stalled", "The estimator could be stored neither as ONNX nor as skops.")
METRIC_INVALID = _reason("MetricInvalid", _B, "stalled", "A metric is not a finite number, or its name cannot be one.")
OUT_OF_MEMORY = _reason("OutOfMemory", _BUILDS, "stalled", "The pod needed more memory than its limit, in every attempt.")
DEADLINE_EXCEEDED = _reason("DeadlineExceeded", _BUILDS, "stalled", "An attempt ran longer than spec.deadlineSeconds.")
JOB_GONE = _reason("JobGone", _BUILDS, "stalled", "The Job was deleted before it finished, in every attempt.")
POD_FAILED = _reason(
    "PodFailed", _BUILDS, "stalled", "The pod ended without a result: evicted, its node lost, or its image unusable."
)
PODS_REFUSED = _reason("PodsRefused", _ALL, "stalled", "The API server refuses the pods: quota, admission or Pod Security.")
IMAGE_UNUSABLE = _reason("ImageUnusable", _ALL, "stalled", "A container image cannot be pulled, or its name is not valid.")
REJECTED = _reason(
    "Rejected", _ALL, "stalled", "The API server refuses an object that belongs to this resource; its words follow."
)
STORE_UNSUITABLE = _reason(
    "StoreUnsuitable",
    _EVERY,
    "stalled",
    "The object store breaks a promise that the registry rests on (conditional writes); the message says which.",
)
STORE_DENIED = _reason("StoreDenied", _EVERY, "stalled", "The object store refuses the credentials, or they lack a permission.")
NAME_TAKEN = _reason(
    "NameTaken",
    _ALL,
    "stalled",
    "An object of the name that is needed exists and belongs to somebody else; the message names it.",
)
GATE_FAILED = _reason(
    "GateFailed",
    (_B, _D),
    "stalled",
    "A gate does not hold. Of a build: the version is in the registry, but not promoted. Of a deployment: the revision was taken"
    " back and is held (status.held), the stable one serves.",
)
PROMOTION_REFUSED = _reason(
    "PromotionRefused",
    _B,
    "stalled",
    "The version is in the registry and its gates hold, but a person refused its promotion (`slipway approve NAME --refuse`). That"
    " is remembered; another version waits anew.",
)
APPROVAL_EXPIRED = _reason(
    "ApprovalExpired",
    _B,
    "stalled",
    "The version is in the registry and its gates hold, but nobody approved its promotion within promotion.approvalDeadlineSeconds.",
)
METRIC_MISSING = _reason(
    "MetricMissing",
    _B,
    "stalled",
    "The version is in the registry, but a gate's metric was never logged: not promoted.",
)
REQUIREMENTS_INVALID = _reason("RequirementsInvalid", _A, "stalled", "A requirement is not written as pip and uv understand it.")
REQUIREMENTS_UNSATISFIABLE = _reason(
    "RequirementsUnsatisfiable", _A, "stalled", "The resolver finds no set of versions; its words follow."
)
WHEEL_MISSING = _reason("WheelMissing", _A, "stalled", "A requirement has no wheel for the base image's Python and platform.")
BASE_INCOMPATIBLE = _reason(
    "BaseIncompatible", _A, "stalled", "The base image is no Slipway serving image, or for another platform."
)
INDEX_UNAVAILABLE = _reason("IndexUnavailable", _A, "stalled", "The Python package index did not answer, in every attempt.")
REGISTRY_FULL = _reason("RegistryFull", _A, "stalled", "The image registry has no space left, in every attempt.")
REGISTRY_DENIED = _reason("RegistryDenied", _A, "stalled", "The image registry refuses the credentials or the push.")
BUILD_FAILED = _reason("BuildFailed", _A, "stalled", "The image could not be assembled; the message says where it stopped.")
CANDIDATE_FAILED = _reason(
    "CandidateFailed",
    _D,
    "stalled",
    "The candidate was not ready within spec.progressDeadlineSeconds, or a container of it crashed or ran out of memory while it had"
    " requests; it is held (status.held), the stable revision serves.",
)
ABORTED = _reason(
    "Aborted", _D, "stalled", "A person took the candidate back; it is held (status.held), the stable revision serves."
)
WATCH_FAILED = _reason(
    "WatchFailed",
    _D,
    "stalled",
    "A gate failed after the promotion, and there is nothing to go back to, or rollout.watch.rollback is false.",
)
NOT_PERMITTED = _reason("NotPermitted", _D, "stalled", "Reading models of that namespace needs a grant in the operator's policy.")

# ---- paused ----
ROLLOUT_PAUSED = _reason(
    "RolloutPaused", _D, "paused", "A person paused the roll-out (`slipway rollout resume NAME`); gates are looked at meanwhile."
)
SUSPENDED = _reason("Suspended", _BUILDS, "paused", "spec.suspend is true: no new attempt is started.")

# ---- Available, besides Serving and NoReplicas ----
NO_STABLE = _reason("NoStable", _D, "working", "Available is False: no revision has ever been ready, so nothing is served.")


# Why a build was started: status.build.reason. Not reasons of a condition.
BUILD_REASONS: Mapping[str, str] = {
    "FirstBuild": "The resource is new.",
    "SpecChanged": "Parameters, image, base, requirements or another field that determines the result changed.",
    "SourceChanged": "The source has another digest.",
    "RequirementsChanged": "spec.requirements changed.",
    "BaseChanged": "The base image has another digest; with spec.rebase Automatic that alone starts a build.",
    "InputChanged": "An input has another digest.",
    "Scheduled": "A time of spec.schedule came.",
    "Forced": "spec.rebuild has a new value.",
    "CacheHit": "Nothing was built: a result of the same identity exists and its files are still there.",
}
(
    FIRST_BUILD,
    SPEC_CHANGED,
    BUILD_SOURCE_CHANGED,
    REQUIREMENTS_CHANGED,
    BASE_CHANGED,
    BUILD_INPUT_CHANGED,
    SCHEDULED,
    FORCED,
    CACHE_HIT,
) = BUILD_REASONS
