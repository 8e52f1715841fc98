"""Makes the attestations of a version and stores them: before the version is registered, so that it names them."""

from __future__ import annotations

import json
from pathlib import Path

from slipway.provenance import dsse, names
from slipway.provenance.bom import bill_of_materials
from slipway.provenance.facts import BuildFacts
from slipway.provenance.statement import statement
from slipway.registry.blobs import Blobs
from slipway.registry.records import FileEntry, VersionDraft, canonical_json


class Attester:
    """`signing_key`: a private key in PEM form; None signs nothing. Raises KeyInvalid for one that cannot be used."""

    def __init__(self, signing_key: Path | None = None) -> None:
        self._path = signing_key
        self._key = dsse.load_private_key(signing_key) if signing_key is not None else None

    def attest(self, draft: VersionDraft, facts: BuildFacts, blobs: Blobs) -> VersionDraft:
        """`draft` with its statement, bill of materials and, with a key, signature. Raises the store's errors."""
        bom = _put(blobs, json.dumps(bill_of_materials(draft), indent=1, sort_keys=True).encode(), names.BOM, names.CYCLONEDX)
        said = canonical_json(statement(draft, facts, (bom,)))
        if self._key is None or self._path is None:
            return draft.model_copy(update={"attestations": (_put(blobs, said, names.STATEMENT, names.IN_TOTO), bom)})
        from slipway.provenance.signing import sign_files

        sealed = canonical_json(dsse.seal(said, names.IN_TOTO, self._key))
        signature = sign_files(draft.model, draft.files, self._path)
        entries = (
            _put(blobs, sealed, names.STATEMENT, names.DSSE),
            bom,
            _put(blobs, signature, names.SIGNATURE, names.SIGSTORE),
        )
        return draft.model_copy(update={"attestations": entries})


def _put(blobs: Blobs, data: bytes, path: str, media_type: str) -> FileEntry:
    return blobs.put_bytes(data, media_type, path=path)
