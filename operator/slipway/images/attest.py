"""What is said about an image: OCI annotations, a CycloneDX bill of materials, and SLSA provenance, the latter two pushed
beside it as referrers.

Sources: OCI image specification 1.1 "Annotations", CycloneDX 1.6, in-toto Statement v1, SLSA provenance v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from slipway import __version__
from slipway.images import layer, oci
from slipway.images.assemble import BaseImage, Image
from slipway.images.contract import AppBuildRequest, Attestation
from slipway.images.reference import Reference
from slipway.images.registry_client import RegistryClient
from slipway.images.runtime import Runtime
from slipway.images.upload import Tally
from slipway.images.wheels import Package, locked
from slipway.provenance.names import CYCLONEDX, IN_TOTO, PREDICATE_TYPE, STATEMENT_TYPE
from slipway.registry.records import SourceRecord, canonical_json
from slipway.storage.keys import redact

BUILD_TYPE = "https://slipway.dev/build/app-build/v1"
BUILDER = "https://slipway.dev/builder/app-build"
_OPENCONTAINERS = "org.opencontainers.image."
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Facts:
    """All that the documents tell of one build."""

    request: AppBuildRequest
    base: BaseImage
    runtime: Runtime
    image: Image
    lock: tuple[str, ...]
    source: SourceRecord | None
    started_at: datetime
    finished_at: datetime


def image_annotations(request: AppBuildRequest, base: BaseImage, source: SourceRecord | None) -> dict[str, str]:
    """Of the image's manifest. Nothing in them depends on the time."""
    base_name = base.reference.name
    found = {
        f"{_OPENCONTAINERS}title": request.name.rpartition("/")[2],
        f"{_OPENCONTAINERS}base.name": base_name,
        f"{_OPENCONTAINERS}base.digest": base.reference.digest or "",
        "dev.slipway.appbuild": request.name,
        "dev.slipway.source.digest": request.source.digest,
    }
    if source is not None and source.commit:
        found[f"{_OPENCONTAINERS}revision"] = source.commit
        found[f"{_OPENCONTAINERS}source"] = redact(source.uri)
    return found


def attach_all(client: RegistryClient, to: Reference, facts: Facts, tally: Tally) -> tuple[Attestation, ...]:
    """Pushes both documents beside the image, which must be in `to`. Raises RegistryError."""
    subject = to.bare.with_digest(facts.image.digest)
    made = []
    for kind, document in ((CYCLONEDX, bill_of_materials(facts, to)), (IN_TOTO, provenance(facts, to))):
        manifest = client.attach(subject, facts.image.descriptor, document, kind, tally=tally)
        made.append(Attestation(type=kind, digest=oci.sha256(document), manifest=manifest.digest))
    return tuple(made)


def bill_of_materials(facts: Facts, to: Reference) -> bytes:
    """CycloneDX JSON: the image, and the Python packages in it, the base's included. The same image gives the same
    bytes."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    digest = facts.image.digest
    name = to.repository.rpartition("/")[2]
    image = Component(
        name=to.name,
        version=digest,
        type=ComponentType.CONTAINER,
        bom_ref=digest,
        purl=PackageURL("oci", None, name, digest, {"repository_url": to.name}),
    )
    base = Component(
        name=facts.base.reference.name,
        version=facts.base.reference.digest,
        type=ComponentType.CONTAINER,
        bom_ref=f"base {facts.base.reference.digest}",
    )
    python = Component(name="cpython", version=facts.runtime.python_version, type=ComponentType.PLATFORM, bom_ref="cpython")
    components = [base, python]
    hashes = _hashes(facts.lock)
    for package, holds in _packages(facts):
        known = hashes.get(package)
        components.append(
            Component(
                name=package.name,
                version=package.version,
                type=ComponentType.LIBRARY,
                bom_ref=f"pkg:pypi/{package.name}@{package.version}",
                purl=PackageURL("pypi", None, package.name, package.version),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=known)] if known else [],
                properties=[Property(name="slipway:layer", value=holds)],
            )
        )
    # Neither a time nor a random number: they would make another document of the same image.
    metadata = BomMetaData(component=image, timestamp=datetime(1970, 1, 1, tzinfo=UTC))
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"{to.name}@{digest}"), metadata=metadata, components=components)
    bom.register_dependency(image, components)
    return JsonV1Dot6(bom).output_as_string().encode()


def provenance(facts: Facts, to: Reference) -> bytes:
    """An in-toto statement, not signed: from what, by what, and when the image was made."""
    request = facts.request
    parameters: dict[str, Any] = {
        "appBuild": request.name,
        "base": request.base,
        "entrypoint": request.entrypoint,
        "repository": request.repository,
        "requirements": list(request.requirements),
        "source": redact(request.source.uri),
    }
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": to.name, "digest": _digest(facts.image.digest)}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {name: value for name, value in parameters.items() if value not in (None, [])},
                "internalParameters": {"platform": facts.runtime.platform, "python": facts.runtime.python_version},
                "resolvedDependencies": list(_dependencies(facts)),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"slipway": __version__, "compressor": layer.compressor()}},
                "metadata": {
                    "invocationId": f"{request.build_id}/{request.attempt}",
                    "startedOn": _time(facts.started_at),
                    "finishedOn": _time(facts.finished_at),
                },
            },
        },
    }
    return canonical_json(statement)


def _dependencies(facts: Facts) -> Iterable[Mapping[str, Any]]:
    base = facts.base.reference
    yield {"name": "base", "uri": f"oci://{base}", "digest": _digest(base.digest or "")}
    source = facts.source
    if source is not None:
        # The digest of a tree of files is no sha256 of bytes: a name of its own.
        digest = {"slipwayIdentity": source.digest.removeprefix("sha256:")}
        if source.commit:
            digest["gitCommit"] = source.commit
        yield {"name": "source", "uri": redact(source.uri), "digest": digest}
    hashes = _hashes(facts.lock)
    for package in sorted(hashes):
        found: dict[str, Any] = {"name": package.name, "uri": f"pkg:pypi/{package.name}@{package.version}"}
        yield found | ({"digest": {"sha256": hashes[package]}} if hashes[package] else {})


def _packages(facts: Facts) -> list[tuple[Package, str]]:
    added = {package for line in facts.lock if (package := locked(line))}
    below = {package for line in facts.runtime.packages if (package := locked(line))} - added
    return sorted([*((package, "base") for package in below), *((package, "requirements") for package in added)])


def _hashes(lock: Iterable[str]) -> dict[Package, str]:
    """The hash of each package's file, where the lock names a single one; else an empty string."""
    found = {}
    for line in lock:
        package, values = locked(line), _HASH.findall(line)
        if package is not None:
            found[package] = values[0] if len(values) == 1 else ""
    return found


def _digest(value: str) -> dict[str, str]:
    algorithm, _, digits = value.partition(":")
    return {algorithm: digits}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
