"""Paths, media types and identifiers of attestations: contracts with whoever reads them elsewhere. Pure."""

from __future__ import annotations

STATEMENT = "provenance.json"
BOM = "bom.cdx.json"
SIGNATURE = "model.sig"

IN_TOTO = "application/vnd.in-toto+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
CYCLONEDX = "application/vnd.cyclonedx+json"
SIGSTORE = "application/vnd.dev.sigstore.bundle.v0.3+json"

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
SIGNATURE_PREDICATE = "https://model_signing/signature/v1.0"
BUILD_TYPE = "https://slipway.dev/build/model-build/v1"
REGISTER_TYPE = "https://slipway.dev/build/model-register/v1"
IMPORT_TYPE = "https://slipway.dev/build/model-import/v1"
BUILDER = "https://slipway.dev/builder/operator"
LOCAL_BUILDER = "https://slipway.dev/builder/command-line"
