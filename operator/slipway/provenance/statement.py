"""The in-toto statement about a version, with SLSA provenance v1. Pure.

Formats: https://github.com/in-toto/attestation (Statement v1, ResourceDescriptor) and https://slsa.dev/spec/v1.1/provenance.
What the operator decided itself is in ``externalParameters`` and ``resolvedDependencies``; what the pod of the build
reported about them is marked ``reportedBy``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from slipway import __version__
from slipway.provenance.facts import BuildFacts
from slipway.provenance.names import PREDICATE_TYPE, STATEMENT_TYPE
from slipway.registry.records import FileEntry, InputRecord, VersionDraft
from slipway.sources.pinned import PinnedInput, PinnedSource

POD = "the build's pod"


def statement(draft: VersionDraft, facts: BuildFacts, byproducts: Iterable[FileEntry] = ()) -> dict[str, Any]:
    """The statement as JSON values; the same for the same arguments. Its subjects are the files of the version."""
    metadata = {"invocationId": f"{draft.build_id}/{draft.attempt}"}
    times = {"startedOn": _time(draft.started_at), "finishedOn": _time(draft.finished_at)}
    made = [*draft.reports, *draft.logs, *byproducts]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": entry.path, "digest": _sha256(entry.digest)} for entry in draft.files],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": facts.build_type,
                "externalParameters": _external(draft, facts),
                "internalParameters": {
                    "buildId": draft.build_id,
                    "attempt": draft.attempt,
                    "reason": draft.reason,
                    "requestMatchesBuildId": facts.checked,
                },
                "resolvedDependencies": _dependencies(draft, facts),
            },
            "runDetails": {
                "builder": {"id": facts.builder, "version": {"slipway": __version__}},
                "metadata": metadata | {name: value for name, value in times.items() if value},
                "byproducts": [_file(entry) for entry in made],
            },
        },
    }


def _external(draft: VersionDraft, facts: BuildFacts) -> dict[str, Any]:
    named = {
        "model": draft.model,
        "requestedBy": draft.builder,
        "source": facts.source.uri if facts.source else None,
        "entrypoint": facts.entrypoint,
        "image": facts.image or None,
        "params": dict(facts.params),
        "inputs": {entry.name: entry.uri for entry in facts.inputs},
    }
    return {name: value for name, value in named.items() if value not in (None, {})}


def _dependencies(draft: VersionDraft, facts: BuildFacts) -> list[dict[str, Any]]:
    """Data (features are data by then), code and image."""
    found = [_input(entry, _reported(draft, entry.name)) for entry in facts.inputs]
    if facts.source is not None:
        found.append(_source(facts.source, draft))
    elif draft.source is not None:
        found.append({"name": "source", "uri": draft.source.uri, "annotations": {"reportedBy": draft.builder}})
    image = facts.image or draft.environment.image
    if image:
        name, _, digest = image.partition("@")
        pinned = {"digest": _sha256(digest)} if digest.startswith("sha256:") else {}
        found.append({"name": "image", "uri": f"oci://{name}", **pinned})
    return found


def _input(entry: PinnedInput, reported: InputRecord | None) -> dict[str, Any]:
    notes: dict[str, Any] = {"kind": "data", "objects": len(entry.objects), "bytes": entry.size}
    if reported is not None:
        notes["contentDigest"] = {"sha256": reported.digest.removeprefix("sha256:"), "reportedBy": POD}
        if reported.rows is not None:
            notes["rows"] = {"count": reported.rows, "reportedBy": POD}
    # Not the digest of bytes but of what the store said of each object when the build was planned: a name of its own.
    return {"name": entry.name, "uri": entry.uri, "digest": _identity(entry.digest), "annotations": notes}


def _source(source: PinnedSource, draft: VersionDraft) -> dict[str, Any]:
    notes: dict[str, Any] = {"kind": "code", "source": source.kind}
    digest = _identity(source.digest)
    if source.git is not None:
        digest["gitCommit"] = source.git.commit
        notes["path"] = source.git.path or "."
    if draft.source is not None and draft.source.digest.startswith("sha256:"):
        notes["contentDigest"] = {"sha256": draft.source.digest.removeprefix("sha256:"), "reportedBy": POD}
    return {"name": "source", "uri": source.uri, "digest": digest, "annotations": notes}


def _reported(draft: VersionDraft, name: str) -> InputRecord | None:
    return next((entry for entry in draft.inputs if entry.name == name), None)


def _file(entry: FileEntry) -> dict[str, Any]:
    return {"name": entry.path, "digest": _sha256(entry.digest), "mediaType": entry.media_type}


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _identity(digest: str) -> dict[str, str]:
    return {"slipwayIdentity": digest.removeprefix("sha256:")}


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
