"""OCI documents as data: descriptors, manifests, image configurations, indexes. Sizes are in bytes.

Sources: OCI image specification 1.1 (manifest, config, index, artifact guidance), Docker image manifest version 2
schema 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel, to_pascal

from slipway.images.errors import Incompatible
from slipway.registry.records import Digest, canonical_json

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": LAYER,
}
MANIFEST_TYPES = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX)
EMPTY_JSON = b"{}"
EPOCH = "1970-01-01T00:00:00Z"
"""The creation time of all that is made here: the same inputs give the same digest at any time."""

MAX_DOCUMENT = 4 << 20
"""Manifests and configurations above this size are refused; registries do the same."""


class _Oci(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=to_camel, extra="allow")

    def to_json(self) -> bytes:
        """Canonical JSON: the same content gives the same bytes, and so the same digest."""
        return canonical_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))


class Platform(_Oci):
    """What a manifest of an index runs on."""

    architecture: str
    os: str
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


class Descriptor(_Oci):
    """Names content by its digest."""

    media_type: str
    digest: Digest
    size: int = Field(ge=0)
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None
    platform: Platform | None = None


class Manifest(_Oci):
    """One image of one platform, or, with `artifact_type`, any document; `subject` is what it is about."""

    schema_version: Literal[2] = 2
    media_type: str = MANIFEST
    artifact_type: str | None = None
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Index(_Oci):
    """A list of manifests: one for each platform, or the referrers of a subject."""

    schema_version: Literal[2] = 2
    media_type: str = INDEX
    manifests: tuple[Descriptor, ...] = ()
    annotations: dict[str, str] | None = None


class RootFs(_Oci):
    """Digests of the plain tar of every layer, lowest first."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=None, extra="allow")
    type: Literal["layers"] = "layers"
    diff_ids: tuple[Digest, ...]


class History(_Oci):
    """How a layer came to be, for people."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=None, extra="allow")
    created: str | None = None
    created_by: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class Execution(_Oci):
    """How a container of the image is started unless the pod says otherwise."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=to_pascal, extra="allow")
    user: str | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, dict[str, Any]] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """`env` as a mapping."""
        pairs = (item.partition("=") for item in self.env or ())
        return {name: value for name, _, value in pairs}


class ImageConfig(_Oci):
    """The configuration of an image."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, alias_generator=None, extra="allow")
    created: str | None = None
    architecture: str
    os: str
    variant: str | None = None
    config: Execution = Execution()
    rootfs: RootFs
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> str:
        """``os/architecture``."""
        return f"{self.os}/{self.architecture}"


def sha256(data: bytes) -> str:
    """``sha256:<hex>`` of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def describe(data: bytes, media_type: str, **more: Any) -> Descriptor:
    """The descriptor of `data`."""
    return Descriptor(media_type=media_type, digest=sha256(data), size=len(data), **more)


def environment(variables: Mapping[str, str]) -> tuple[str, ...]:
    """A mapping as ``NAME=value`` lines, in its own order."""
    return tuple(f"{name}={value}" for name, value in variables.items())


def parse_manifest(data: bytes, media_type: str, what: str) -> Manifest | Index:
    """The manifest or index in `data`; Docker's types become their OCI twins, whose content is the same.

    `what` names it in the message of Incompatible, raised for other documents."""
    kind = media_type.partition(";")[0].strip()
    try:
        if kind in (INDEX, DOCKER_INDEX):
            return Index.model_validate_json(data)
        if kind in (MANIFEST, DOCKER_MANIFEST):
            return _as_oci(Manifest.model_validate_json(data))
    except ValidationError as error:
        raise Incompatible(f"{what} is no valid image manifest: {_first(error)}") from error
    raise Incompatible(
        f"{what} has media type {media_type or 'none'}: only OCI manifests and Docker's schema 2 can be a base; "
        "push it anew with a current tool"
    )


def parse_config(data: bytes, what: str) -> ImageConfig:
    """The image configuration in `data`. Raises Incompatible."""
    try:
        return ImageConfig.model_validate_json(data)
    except ValidationError as error:
        raise Incompatible(f"{what} has no valid image configuration: {_first(error)}") from error


def _as_oci(manifest: Manifest) -> Manifest:
    layers = tuple(
        layer.model_copy(update={"media_type": _DOCKER_LAYERS.get(layer.media_type, layer.media_type)})
        for layer in manifest.layers
    )
    return manifest.model_copy(update={"layers": layers, "media_type": MANIFEST})


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}"
