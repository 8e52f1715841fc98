"""Rebase: the layers of an image on another base, by its manifest alone. Neither source nor package index is asked."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.images import oci
from slipway.images.assemble import Part
from slipway.images.contract import PACKAGES_LABEL, AppBuildResult
from slipway.images.errors import NotInRegistry
from slipway.images.reference import parse
from slipway.images.registry_client import RegistryClient
from slipway.images.runtime import Runtime
from slipway.images.wheels import locked


@dataclass(frozen=True)
class Unfit:
    """The layers cannot be kept; `why` ends a sentence."""

    why: str


def own_parts(client: RegistryClient, done: AppBuildResult, runtime: Runtime) -> tuple[Part, ...] | Unfit:
    """The requirements and application layers of the image that `done` tells of, if they work on a base with `runtime`: the
    same Python and platform, and, where packages were resolved against the base's, the same packages. Raises RegistryError."""
    own = [layer for layer in done.layers if layer.holds != "base"]
    if done.image is None or not own:
        return Unfit("it has none")
    reference = parse(done.image)
    try:
        raw = client.manifest(reference)
        manifest = oci.parse_manifest(raw.data, raw.media_type, done.image)
        if not isinstance(manifest, oci.Manifest):
            return Unfit("it is an index of several images")
        config = oci.parse_config(client.blob(reference, manifest.config.digest), done.image)
    except NotInRegistry:
        return Unfit("the image is not in its registry any more")
    layers, diff_ids = manifest.layers[-len(own) :], config.rootfs.diff_ids[-len(own) :]
    if [layer.digest for layer in layers] != [layer.digest for layer in own]:
        return Unfit("the image has other layers than its build reported")
    unfit = _unfit(config, done, runtime)
    if unfit is not None:
        return unfit
    return tuple(
        Part(layer, diff_id, told.holds, None, (reference.bare,))
        for layer, diff_id, told in zip(layers, diff_ids, own, strict=True)
    )


def _unfit(config: oci.ImageConfig, done: AppBuildResult, runtime: Runtime) -> Unfit | None:
    version = config.config.variables.get("PYTHON_VERSION", "")
    if config.platform != runtime.platform:
        return Unfit(f"they are for {config.platform}, the base is for {runtime.platform}")
    if version.split(".")[:2] != runtime.python_version.split(".")[:2]:
        return Unfit(f"they are for Python {version}, the base has {runtime.python_version}")
    if not done.requirements:
        return None
    added = {str(package) for line in done.requirements if (package := locked(line))}
    before = set((config.config.labels or {}).get(PACKAGES_LABEL, "").split()) - added
    if before != set(runtime.packages):
        return Unfit("the base has other packages, so that the requirements have to be resolved again")
    return None
