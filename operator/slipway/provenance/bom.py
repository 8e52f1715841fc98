"""The bill of materials of a version: CycloneDX 1.6 with a model card."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from slipway import __version__
from slipway.registry.records import InputRecord, TensorSpec, VersionDraft, root_digest

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

MODEL_REF = "model"


def bill_of_materials(draft: VersionDraft) -> dict[str, Any]:
    """The document as JSON values; the same for the same draft. The model is the subject, with a model card; packages,
    data and image are its components."""
    from cyclonedx.output.json import JsonV1Dot6

    document: dict[str, Any] = json.loads(JsonV1Dot6(_bom(draft)).output_as_string())
    # The library has no model card yet (its issue on CycloneDX 1.5): the schema's own form, put where it belongs.
    document["metadata"]["component"]["modelCard"] = _model_card(draft)
    return document


def _bom(draft: VersionDraft) -> Bom:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    namespace, _, name = draft.model.partition("/")
    files = [
        Component(
            type=ComponentType.FILE,
            name=entry.path,
            bom_ref=f"file:{entry.path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry.digest.removeprefix("sha256:"))],
        )
        for entry in draft.files
    ]
    facts = {"format": draft.format, "buildId": draft.build_id, "rootDigest": root_digest(draft.files)}
    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=name,
        group=namespace,
        version=draft.build_id.removeprefix("sha256:")[:12],
        bom_ref=MODEL_REF,
        components=files,
        properties=[Property(name=f"slipway:{key}", value=value) for key, value in facts.items()],
    )
    parts = [*_packages(draft), *(_dataset(entry) for entry in draft.inputs), *_image(draft)]
    tool = Component(type=ComponentType.APPLICATION, name="slipway", version=__version__)
    bom = Bom(
        components=parts,
        metadata=BomMetaData(
            component=model,
            tools=ToolRepository(components=[tool]),
            timestamp=draft.finished_at or datetime.fromtimestamp(0, UTC),
        ),
        serial_number=uuid5(NAMESPACE_URL, f"{draft.build_id}/{draft.attempt}"),
    )
    bom.register_dependency(model, parts)
    return bom


def _packages(draft: VersionDraft) -> list[Component]:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    return [
        Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=version,
            bom_ref=f"pkg:pypi/{name}@{version}",
            purl=PackageURL("pypi", None, name, version),
        )
        for name, version in sorted(draft.environment.packages.items())
    ]


def _dataset(entry: InputRecord) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    facts = {"uri": entry.uri, "bytes": str(entry.size), "rows": str(entry.rows) if entry.rows is not None else ""}
    return Component(
        type=ComponentType.DATA,
        name=entry.name,
        bom_ref=f"data:{entry.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=entry.digest.removeprefix("sha256:"))],
        properties=[Property(name=f"slipway:{key}", value=value) for key, value in facts.items() if value],
    )


def _image(draft: VersionDraft) -> list[Component]:
    from cyclonedx.model.component import Component, ComponentType

    if not draft.environment.image:
        return []
    name, at, digest = draft.environment.image.partition("@")
    return [Component(type=ComponentType.CONTAINER, name=name, version=digest if at else None, bom_ref="image")]


def _model_card(draft: VersionDraft) -> dict[str, Any]:
    signature = draft.signature
    parameters: dict[str, Any] = {"datasets": [{"ref": f"data:{entry.name}"} for entry in draft.inputs]}
    if signature is not None:
        parameters["inputs"] = [{"format": _format(tensor)} for tensor in signature.inputs]
        parameters["outputs"] = [{"format": _format(tensor)} for tensor in signature.outputs]
    metrics = [{"type": name, "value": repr(value)} for name, value in sorted(draft.metrics.items())]
    chosen = [{"name": f"slipway:param:{name}", "value": str(value)} for name, value in sorted(draft.params.items())]
    return {
        "bom-ref": "model-card",
        "modelParameters": {name: value for name, value in parameters.items() if value},
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "properties": chosen,
    }


def _format(tensor: TensorSpec) -> str:
    return f"{tensor.name}: {tensor.datatype}[{', '.join(map(str, tensor.shape))}]"
