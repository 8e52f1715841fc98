"""What an AppBuild's reconcile knows, as one value: written by observe, read by the steps after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.api.app_build import AppBuild
from slipway.controllers.shared.attempts import Attempt
from slipway.controllers.shared.pods import PodSettings
from slipway.images.contract import AppBuildRequest, AppBuildResult, PreviousBuild
from slipway.kube.port import Object
from slipway.sources.pinned import PinnedSource


@dataclass(frozen=True)
class Installation:
    """What the operator's settings say about app builds."""

    pods: PodSettings
    builder_image: str
    serving_image: str
    service_account: str
    insecure_registries: tuple[str, ...]
    package_index_url: str


@dataclass(frozen=True)
class Observed:
    """The resource and the world around it, at one time."""

    build: AppBuild
    installation: Installation
    jobs: tuple[Object, ...] = ()
    settled: bool = False
    """Nothing has changed since this build ended; the rest was not read."""
    identity: str = ""
    token: str | None = None
    source: PinnedSource | None = None
    """The source as it is now; None when the build goes on with what it was planned with."""
    base: str | None = None
    """The base image by digest, as it is now."""
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    previous: PreviousBuild | None = None
    """The build that has ended, when only the base image is another now."""
    request: AppBuildRequest | None = None
    attempt: Attempt[AppBuildResult] | None = None
