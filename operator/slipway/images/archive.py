"""Writes images as an OCI archive: a tar of an OCI image layout, as ``ctr images import`` and ``podman load`` read it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from slipway.images import oci
from slipway.images.assemble import Image
from slipway.images.blobs import Bytes, Content, StoredFile
from slipway.images.errors import ImageError

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def write(path: Path, images: Sequence[tuple[str, Image]]) -> None:
    """Writes `images`, each with the full reference under which it shall be known, to the file `path`.

    Layers that several share are written once. Raises ImageError for an image whose layers are not all here."""
    documents: dict[str, Content] = {}
    manifests = []
    for name, image in images:
        os, _, architecture = image.platform.partition("/")
        manifests.append(
            image.descriptor.model_copy(
                update={
                    "platform": oci.Platform(os=os, architecture=architecture),
                    "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
                }
            )
        )
        for content in (Bytes(image.manifest_json), image.config, *(_local(part.content) for part in image.parts)):
            documents[content.digest] = content
    temporary = path.with_name(path.name + ".part")
    with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "oci-layout", Bytes(_LAYOUT))
        _add(tar, "index.json", Bytes(oci.Index(manifests=tuple(manifests)).to_json()))
        for digest, content in sorted(documents.items()):
            _add(tar, f"blobs/sha256/{digest.removeprefix('sha256:')}", content)
    temporary.replace(path)


def _local(content: Content | None) -> Content:
    if isinstance(content, StoredFile | Bytes):
        return content
    raise ImageError("an archive can only hold images whose layers are all on this machine")


def _add(tar: tarfile.TarFile, name: str, content: Content) -> None:
    info = tarfile.TarInfo(name)
    info.size = content.size
    if isinstance(content, StoredFile):
        with content.path.open("rb") as reader:
            _write(tar, info, reader)
    else:
        _write(tar, info, io.BytesIO(b"".join(content.read(0, content.size))))


def _write(tar: tarfile.TarFile, info: tarfile.TarInfo, reader: BinaryIO) -> None:
    tar.addfile(info, reader)
