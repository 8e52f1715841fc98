"""Writing a small OCI image archive: one layer, given files, the same bytes for the same input.

This is for the pause image, which has to exist before there is any cluster; applications are packaged by slipway.images.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_archive(
    target: Path, reference: str, files: Mapping[str, Path], *, entrypoint: Sequence[str], environment: Sequence[str] = ()
) -> str:
    """Write an image with `files` (path in the image to a file here) under the full name `reference`.

    Files keep their mode, belong to root and date from 1970. Returns the manifest's digest (``sha256:…``).
    """
    layer = _layer(files)
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(os.uname().machine, os.uname().machine),
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Env": list(environment)},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": _LAYER, "digest": _digest(layer), "size": len(layer)}],
        }
    )
    # containerd takes the image's name from the first annotation, other tools from the second.
    names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": _MANIFEST, "digest": _digest(manifest), "size": len(manifest), "annotations": names}],
    }
    with tarfile.open(target, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(tar, "index.json", _json(index))
        for blob in (manifest, config, layer):
            _add(tar, f"blobs/sha256/{_digest(blob)[7:]}", blob)
    return _digest(manifest)


def names_in(archive: Path) -> list[str]:
    """The image names an OCI archive carries. Raises ValueError if the file is not such an archive."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            index = json.load(member) if member else {}
    except (tarfile.TarError, KeyError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{archive} is not an OCI image archive: {error}") from error
    found = []
    for manifest in index.get("manifests", []):
        annotations = manifest.get("annotations") or {}
        name = annotations.get("io.containerd.image.name") or annotations.get("org.opencontainers.image.ref.name")
        if name:
            found.append(name)
    return found


def _layer(files: Mapping[str, Path]) -> bytes:
    buffer, folders = io.BytesIO(), set[str]()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            for parent in reversed([str(p) for p in Path(name).parents if str(p) != "."]):
                if parent not in folders:
                    folders.add(parent)
                    entry = tarfile.TarInfo(parent)
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            _add(tar, name, files[name].read_bytes(), mode=files[name].stat().st_mode & 0o777)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
