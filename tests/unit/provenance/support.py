"""A version as a build leaves it, attested in a store in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from slipway.provenance.attest import Attester
from slipway.provenance.facts import BuildFacts
from slipway.registry.records import (
    Environment,
    InputRecord,
    Signature,
    SourceRecord,
    TensorSpec,
    VersionDraft,
    VersionRecord,
    digest_of,
)
from slipway.registry.registry import Registry
from slipway.sources.pinned import PinnedGit, PinnedInput, PinnedS3, PinnedSource, S3Object, git_digest, s3_digest
from slipway.storage.memory import MemoryStore

IMAGE = "registry.example.com/slipway-training@sha256:" + "c" * 64
DATA = PinnedS3(uri="s3://data/wine.csv", objects=(S3Object(key="wine.csv", etag="e1", size=11),))
CODE = PinnedGit(url="https://git.example.com/ml.git", commit="a" * 40, ref="main", path="train")
FACTS = BuildFacts(
    entrypoint="train:main",
    image=IMAGE,
    params={"C": 0.3},
    source=PinnedSource(kind="git", uri=CODE.url, digest=git_digest(CODE), git=CODE),
    inputs=(PinnedInput(name="wine", digest=s3_digest(DATA), s3=DATA),),
    checked=True,
)


@dataclass(frozen=True)
class KeyPair:
    private: Path
    public: Path

    @property
    def pem(self) -> str:
        return self.public.read_text()


def key_pair(folder: Path, name: str = "key") -> KeyPair:
    """A new pair on P-256, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    pair = KeyPair(folder / f"{name}.pem", folder / f"{name}.pub")
    pair.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pair.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return pair


def draft(registry: Registry, **fields: object) -> VersionDraft:
    put = registry.blobs.put_bytes
    made = VersionDraft(
        model="default/wine",
        build_id=digest_of("build"),
        reason="FirstBuild",
        files=(put(b"the model", path="model.onnx"), put(b"more", path="extra/labels.txt")),
        reports=(put(b"<html>", "text/html", path="roc.html"),),
        logs=(put(b"done", "text/plain", path="train.log"),),
        format="onnx",
        signature=Signature(
            inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, 13)),),
            outputs=(TensorSpec(name="label", datatype="INT64", shape=(-1,)),),
        ),
        params={"C": 0.3},
        metrics={"accuracy": 0.97},
        environment=Environment(python="3.12.1", image=IMAGE, packages={"numpy": "2.1.0", "scikit-learn": "1.7.0"}),
        inputs=(InputRecord(name="wine", uri=DATA.uri, digest=digest_of("bytes"), size=11, rows=178),),
        source=SourceRecord(kind="git", uri=CODE.url, digest=digest_of("tree"), commit=CODE.commit),
        started_at=datetime(2026, 11, 3, 12, tzinfo=UTC),
        finished_at=datetime(2026, 11, 3, 12, 1, tzinfo=UTC),
        builder="ModelBuild default/wine",
    )
    return made.model_copy(update=fields)


def attested(key: KeyPair | None = None, facts: BuildFacts = FACTS) -> tuple[Registry, VersionRecord]:
    """A registry with one version that was registered with all its attestations."""
    registry = Registry(MemoryStore())
    attester = Attester(key.private if key else None)
    return registry, registry.register(attester.attest(draft(registry), facts, registry.blobs))
