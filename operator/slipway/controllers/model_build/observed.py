"""What a ModelBuild's reconcile knows, as one value: written by observe, read by the steps after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from slipway.api.common import Approval
from slipway.api.model_build import ModelBuild
from slipway.api.model_build_status import TriggersStatus
from slipway.controllers.model_build.policy import PinnedBuild
from slipway.controllers.shared.attempts import Attempt
from slipway.controllers.shared.pods import PodSettings
from slipway.kube.port import Object
from slipway.registry.records import AttemptResult, Refusal, VersionRecord
from slipway.training.contract import BuildRequest


@dataclass(frozen=True)
class Installation:
    """What the operator's settings say about training."""

    pods: PodSettings
    training_image: str
    service_account: str
    trusted_types: tuple[str, ...]


@dataclass(frozen=True)
class Observed:
    """The resource and the world around it, at one time."""

    build: ModelBuild
    installation: Installation
    jobs: tuple[Object, ...] = ()
    settled: bool = False
    """Nothing has changed since this build ended; the rest was not read."""
    identity: str = ""
    token: str | None = None
    pinned: PinnedBuild | None = None
    """Source and inputs as they are now; None when the build goes on with what it was planned with."""
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    request: BuildRequest | None = None
    """What the present build's attempts were asked, when it goes on."""
    version: VersionRecord | None = None
    attempt: Attempt[AttemptResult] | None = None
    baselines: Mapping[str, VersionRecord] = field(default_factory=dict)
    """Versions to compare with, by alias (gates' noWorseThan)."""
    approval: Approval | None = None
    wish: Approval | None = None
    """A person's refusal of a version, as the annotation says it."""
    refusal: Refusal | None = None
    """The decision against this version that is remembered."""
    promoted: bool = False
    """The alias was moved to this version on behalf of this resource, whatever happened to it since."""
    followers: tuple[str, ...] = ()
    """ModelDeployments of the namespace that follow the alias, or will, and have not begun with this build's version yet."""
    cause: str = ""
    """Why a build is planned anew, where comparing would not tell: Scheduled."""
    triggers: TriggersStatus | None = None
    """How schedule and triggers stand after this look."""
    look_at: datetime | None = None
    """When the next look is due on their behalf."""
