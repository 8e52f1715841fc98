"""Puts layers on a base by writing a manifest, and pushes the result. The base's layers are never downloaded to here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from slipway.images import oci
from slipway.images.blobs import Bytes, Content
from slipway.images.errors import Incompatible, NotInRegistry
from slipway.images.reference import Reference
from slipway.images.registry_client import RegistryClient
from slipway.images.upload import Progress, Tally

PARALLEL = 4
"""Blobs pushed at a time."""


@dataclass(frozen=True)
class BaseImage:
    """An image to put layers on: `reference` with the digest of the manifest of one platform."""

    reference: Reference
    manifest: oci.Manifest
    config: oci.ImageConfig


@dataclass(frozen=True)
class Part:
    """A layer of an image to be: where its bytes are, and where else they may be mounted from."""

    descriptor: oci.Descriptor
    diff_id: str
    holds: str
    """``base``, ``requirements``, ``application`` …; kept in the image's history."""
    content: Content | None = None
    """None: the blob must be in the target repository or in one of `mount_from`."""
    mount_from: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What the image's configuration shall say; None leaves what the base says. `environment` is merged."""

    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] | None = None
    """Takes the base's command away, which would be arguments to it."""
    user: str | None = None
    working_dir: str | None = None
    exposed_ports: tuple[str, ...] | None = None
    """``8080/tcp`` each."""


@dataclass(frozen=True)
class Image:
    """An image that is ready to be pushed or archived."""

    manifest_json: bytes
    config_json: bytes
    parts: tuple[Part, ...]
    platform: str

    @property
    def digest(self) -> str:
        """Of the manifest: the image's digest."""
        return oci.sha256(self.manifest_json)

    @property
    def descriptor(self) -> oci.Descriptor:
        """Of the manifest."""
        return oci.describe(self.manifest_json, oci.MANIFEST)

    @property
    def config(self) -> Bytes:
        """The configuration as a blob."""
        return Bytes(self.config_json)


def read_base(client: RegistryClient, reference: Reference, platform: str) -> BaseImage:
    """The image at `reference` for `platform` (``linux/amd64``): its manifest and configuration only.

    Raises NotInRegistry, Incompatible when it has no such platform, and what the registry answers."""
    raw = client.manifest(reference)
    document = oci.parse_manifest(raw.data, raw.media_type, str(reference))
    if isinstance(document, oci.Index):
        chosen = _of_platform(document, reference, platform)
        raw = client.manifest(reference.bare.with_digest(chosen.digest))
        document = oci.parse_manifest(raw.data, raw.media_type, str(reference))
    if not isinstance(document, oci.Manifest):
        raise Incompatible(f"{reference} is an index of indexes: name one image of it by its digest")
    config = oci.parse_config(client.blob(reference, document.config.digest), str(reference))
    if config.platform != platform:
        raise Incompatible(f"{reference} is for {config.platform}, but the image shall be for {platform}")
    if len(config.rootfs.diff_ids) != len(document.layers):
        raise Incompatible(f"{reference}: {len(document.layers)} layers, but {len(config.rootfs.diff_ids)} in its configuration")
    return BaseImage(reference.bare.with_digest(raw.digest), document, config)


def _of_platform(index: oci.Index, reference: Reference, platform: str) -> oci.Descriptor:
    found = [entry for entry in index.manifests if entry.platform and str(entry.platform) == platform]
    if not found:
        has = sorted({str(entry.platform) for entry in index.manifests if entry.platform} - {"unknown/unknown"})
        raise Incompatible(f"{reference} is not there for {platform}, only for {', '.join(has) or 'no platform'}")
    return found[0]


def base_parts(client: RegistryClient, base: BaseImage) -> tuple[Part, ...]:
    """The layers of a base: mounted where the target is in the same registry, else passed from registry to registry."""
    return tuple(
        Part(layer, diff_id, "base", client.remote(base.reference, layer), (base.reference.bare,))
        for layer, diff_id in zip(base.manifest.layers, base.config.rootfs.diff_ids, strict=True)
    )


def compose(
    parts: Sequence[Part],
    changes: Changes,
    *,
    platform: str,
    base: BaseImage | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """The image of `parts`, lowest first, those of `base` included. The same input gives the same digest."""
    os, _, architecture = platform.partition("/")
    before = base.config if base is not None else None
    update: dict[str, Any] = {
        "created": oci.EPOCH,
        "config": _execution(before.config if before else oci.Execution(), changes),
        "rootfs": oci.RootFs(diff_ids=tuple(part.diff_id for part in parts)),
        "history": _history(before, parts),
    }
    start = before or oci.ImageConfig(architecture=architecture, os=os, rootfs=oci.RootFs(diff_ids=()))
    config_json = start.model_copy(update=update).to_json()
    manifest = oci.Manifest(
        config=oci.describe(config_json, oci.CONFIG),
        layers=tuple(part.descriptor for part in parts),
        annotations=dict(annotations) if annotations else None,
    )
    return Image(manifest.to_json(), config_json, tuple(parts), platform)


def _execution(before: oci.Execution, changes: Changes) -> oci.Execution:
    update: dict[str, Any] = {
        "env": oci.environment({**before.variables, **changes.environment}) or None,
        "labels": {**(before.labels or {}), **changes.labels} or None,
    }
    if changes.entrypoint is not None:
        update |= {"entrypoint": changes.entrypoint, "cmd": None}
    if changes.user is not None:
        update["user"] = changes.user
    if changes.working_dir is not None:
        update["working_dir"] = changes.working_dir
    if changes.exposed_ports is not None:
        update["exposed_ports"] = {port: {} for port in changes.exposed_ports}
    return before.model_copy(update=update)


def _history(before: oci.ImageConfig | None, parts: Sequence[Part]) -> tuple[oci.History, ...] | None:
    """One entry per layer that is not the base's. A base without history leaves the whole image without: tools expect
    an entry for each layer, or none."""
    below = len(before.rootfs.diff_ids) if before else 0
    if below and before is not None and not before.history:
        return None
    ours = (oci.History(created=oci.EPOCH, created_by=f"slipway {part.holds}") for part in parts[below:])
    return ((before.history or ()) if before else ()) + tuple(ours)


def push(
    client: RegistryClient,
    image: Image,
    to: Reference,
    *,
    tags: Sequence[str] = (),
    tally: Tally | None = None,
    progress: Progress | None = None,
) -> Reference:
    """Pushes `image` to the repository `to` and returns it by digest: blobs first, then the manifest, the tags last.

    Whatever fails in between leaves nothing that a tag names; what has arrived is not sent again. Raises RegistryError."""
    count = tally or client.tally
    pinned = to.bare.with_digest(image.digest)
    if client.find(pinned, action="pull,push") != image.digest:
        _push_blobs(client, image, pinned, count, progress)
        client.put_manifest(pinned, image.manifest_json, oci.MANIFEST, tally=count)
    tag(client, image, to, tags, tally=count)
    return pinned


def tag(client: RegistryClient, image: Image, to: Reference, tags: Sequence[str], *, tally: Tally | None = None) -> None:
    """Makes `tags` of the repository `to` name an image that is in it. Raises RegistryError."""
    for name in tags:
        client.put_manifest(to.bare.with_tag(name), image.manifest_json, oci.MANIFEST, tally=tally)


def _push_blobs(client: RegistryClient, image: Image, to: Reference, tally: Tally, progress: Progress | None) -> None:
    def one(part: Part) -> None:
        if part.content is None and not _is_there(client, to, part, tally):
            raise NotInRegistry(f"layer {part.descriptor.digest} ({part.holds}) is not in {to.host} any more")
        if part.content is not None:
            client.push_blob(to, part.content, mount_from=part.mount_from, tally=tally, progress=progress)

    unique = {part.descriptor.digest: part for part in image.parts}
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="push") as pool:
        jobs = [pool.submit(one, part) for part in unique.values()]
        jobs.append(pool.submit(client.push_blob, to, image.config, tally=tally))
        errors = [error for job in jobs if (error := job.exception()) is not None]
    if errors:
        raise errors[0]


def _is_there(client: RegistryClient, to: Reference, part: Part, tally: Tally) -> bool:
    if client.has_blob(to, part.descriptor.digest, action="pull,push"):
        tally.add(existing=1)
        return True
    return client.mount(to, part.descriptor.digest, part.mount_from, tally=tally)
