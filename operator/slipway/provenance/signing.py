"""The signature over a version's files, in the form of OpenSSF model-signing: anybody can check a pulled model with
``model_signing verify key``. The digests of the registry are signed; no byte is read again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.registry.records import FileEntry


def sign_files(model: str, files: Sequence[FileEntry], private_key: Path) -> bytes:
    """The signature, a Sigstore bundle in JSON. Raises ValueError for a key that cannot be used."""
    from model_signing import hashing, manifest, signing

    # The package names no public type for a digest; that of a manifest item is what it takes.
    from model_signing._hashing.hashing import Digest

    def items() -> Iterable[Any]:
        for entry in sorted(files, key=lambda entry: entry.path):
            digest = Digest("sha256", bytes.fromhex(entry.digest.removeprefix("sha256:")))
            yield manifest.FileManifestItem(path=PurePosixPath(entry.path), digest=digest)

    class Known(hashing.Config):
        """Gives the digests that we have instead of reading the files."""

        def hash(self, model_path: Any, *, files_to_hash: Any = None) -> Any:
            kind = manifest.SerializationType.from_args({"method": "files", "hash_type": "sha256", "allow_symlinks": False})
            return manifest.Manifest(model.rpartition("/")[2], items(), kind)

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "signature"
        known: Any = Known()  # type: ignore[no-untyped-call]  # the package leaves its constructors open
        configuration: Any = signing.Config()  # type: ignore[no-untyped-call]
        configuration.set_hashing_config(known).use_elliptic_key_signer(private_key=private_key).sign(folder, out)
        return out.read_bytes()
