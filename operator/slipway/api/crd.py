"""CustomResourceDefinitions from the pydantic models: ``python -m slipway.api.crd --out crds/``.

Writes one file per kind, and with ``--chart`` the same again as templates of the chart, behind its values ``crds``.
pydantic's JSON Schema is not what the API server calls structural, so `structural` rewrites it, and refuses what cannot
be rewritten: better here than at the first ``kubectl apply``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.api.app_build import AppBuild
from slipway.api.common import DNS_LABEL, GROUP, LABEL_WORDS, MAX_NAME, VERSION, Resource
from slipway.api.feature_view import FeatureView
from slipway.api.model_build import ModelBuild
from slipway.api.model_deployment import ModelDeployment

Schema = dict[str, Any]

_DROPPED = ("title", "discriminator", "uniqueItems", "$defs", "additionalItems")
_FORBIDDEN = (
    "oneOf",
    "allOf",
    "not",
    "const",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "prefixItems",
    "patternProperties",
    "$ref",
)
_ORDER = (
    "description", "type", "format", "enum", "default", "minimum", "maximum", "minLength", "maxLength", "pattern",
    "minItems", "maxItems", "maxProperties", "required", "properties", "additionalProperties", "items",
)  # fmt: skip
"""How the words of a schema are written, for people who read it; others follow."""
_OPEN = "x-kubernetes-preserve-unknown-fields"


class SchemaError(ValueError):
    """A model cannot be written as a structural schema. The message begins with the path of the field."""


@dataclass(frozen=True)
class Column:
    """A printer column; `wide` ones are shown with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    wide: bool = False


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_READY = (
    Column("Ready", _condition("Ready"), description="Whether what spec asks for is done."),
    Column("Reason", _condition("Ready", "reason"), description="Why it is, or is not."),
)
_MESSAGE = Column("Message", _condition("Ready", "message"), description="The reason in words.", wide=True)
_AGE = Column("Age", ".metadata.creationTimestamp", "date", "Time since creation.")


@dataclass(frozen=True)
class Kind:
    """What a CRD says besides its schema."""

    model: type[Resource]
    plural: str
    short: str
    columns: tuple[Column, ...]
    letter_first: bool = False
    longest_name: int = MAX_NAME
    why_longest: str = "because Jobs, Deployments and labels are named after it"


KINDS = (
    Kind(
        ModelBuild,
        "modelbuilds",
        "mb",
        (
            *_READY,
            Column("Version", ".status.version.number", "integer", "Version in the registry."),
            Column("Promoted", ".status.version.promotedTo", description="Alias that points to it."),
            Column("Attempt", ".status.build.attempt", "integer", "Attempt of the build."),
            Column("Gates", ".status.version.gates[*].message", description="How the first gate came out.", wide=True),
            Column("Job", ".status.build.job", description="Job of the attempt.", wide=True),
            _MESSAGE,
            _AGE,
        ),
    ),
    Kind(
        AppBuild,
        "appbuilds",
        "ab",
        (
            *_READY,
            Column("Image", ".status.image", description="The newest image, by digest."),
            Column("Seconds", ".status.build.seconds", "number", "How long the build took.", wide=True),
            Column("Job", ".status.build.job", description="Job of the attempt.", wide=True),
            _MESSAGE,
            _AGE,
        ),
    ),
    Kind(
        ModelDeployment,
        "modeldeployments",
        "md",
        (
            *_READY,
            Column("Available", _condition("Available"), description="Whether traffic is being served now."),
            Column("Version", ".status.stable.version", "integer", "Version that serves."),
            Column("Candidate", ".status.candidate.version", "integer", "Version that is starting."),
            Column("Replicas", ".status.stable.readyReplicas", "integer", "Pods whose model answers."),
            Column("URL", ".status.url", description="Where requests go inside the cluster."),
            Column("Held", ".status.held.version", "integer", "Version that failed and is not tried again.", wide=True),
            Column("Image", ".status.stable.image", description="Image that serves.", wide=True),
            _MESSAGE,
            _AGE,
        ),
        letter_first=True,
    ),
    Kind(
        FeatureView,
        "featureviews",
        "fv",
        (
            *_READY,
            Column("Revision", ".status.revision.number", "integer", "Revision of the definition that is in force."),
            Column("Rows", ".status.table.rows", "integer", "Rows of its table."),
            Column("Newest", ".status.freshness.lastEventTime", "date", "Time since the newest event."),
            Column("Ingested", ".status.freshness.lastIngested", "date", "Time since rows were last written."),
            Column("Complete", ".status.quality.complete", description="Share of values that are there.", wide=True),
            Column("Table", ".status.table.version", "integer", "Version of the Delta table.", wide=True),
            Column("Digest", ".status.revision.digest", description="Digest of the definition.", wide=True),
            _MESSAGE,
            _AGE,
        ),
        longest_name=63,
        why_longest="as names of feature views have",
    ),
)


def structural(schema: Schema, definitions: Mapping[str, Schema], path: str = "", *, defaults: bool = True) -> Schema:
    """`schema` as a structural schema: references inlined, null members dropped, list types set.

    `definitions` are pydantic's ``$defs``. With `defaults`, single values keep theirs, but not within lists: the API
    server would write them into the items, and GitOps tools see a list as one value that differs. Raises SchemaError.
    """
    schema = _inline(schema, definitions, path)
    schema = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    default = schema.pop("default", None)
    if isinstance(default, (bool, int, float, str)) and default != "" and defaults:
        schema["default"] = default
    for word in _FORBIDDEN:
        if word in schema:
            raise SchemaError(f"{path}: {word} is not possible in a structural schema")
    kind = schema.get("type")
    if kind == "object":
        _object(schema, definitions, path, defaults=defaults)
    elif kind == "array":
        schema["items"] = structural(schema["items"], definitions, f"{path}[]", defaults=False)
        schema.setdefault("x-kubernetes-list-type", "atomic")
    elif kind is None and not schema.get("x-kubernetes-int-or-string"):
        raise SchemaError(f"{path}: has no type")
    return {word: schema[word] for word in sorted(schema, key=_place)}


def _place(word: str) -> int:
    return _ORDER.index(word) if word in _ORDER else len(_ORDER)


def _inline(schema: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    """Without ``$ref`` and without ``anyOf: [X, null]``; words beside them win over those they stand for."""
    members = schema.get("anyOf")
    if members is not None and not schema.get("x-kubernetes-int-or-string"):
        kept = [member for member in members if member != {"type": "null"}]
        if len(kept) != 1:
            raise SchemaError(f"{path}: a union of {len(kept)} types is not possible in a structural schema")
        schema = {**kept[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return _inline({**target, **own}, definitions, path)
    return schema


def _object(schema: Schema, definitions: Mapping[str, Schema], path: str, *, defaults: bool) -> None:
    values = schema.pop("additionalProperties", None)
    properties = schema.pop("properties", None)
    if properties:
        schema["properties"] = {
            name: structural(member, definitions, f"{path}.{name}", defaults=defaults) for name, member in properties.items()
        }
    elif isinstance(values, dict):
        schema["additionalProperties"] = structural(values, definitions, f"{path}.*", defaults=False)
    if schema.get(_OPEN):
        schema.pop("maxProperties", None)


def check(schema: Schema, path: str = "") -> None:
    """Raises SchemaError for what the API server would accept but a person or its cost budget would regret: a field
    without description, a string, list or map without maximum."""
    kind = schema.get("type")
    unlimited = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",)}.get(kind or "", ())
    if unlimited and not any(word in schema for word in unlimited):
        raise SchemaError(f"{path}: has no {unlimited[0]}")
    for name, member in schema.get("properties", {}).items():
        if "description" not in member:
            raise SchemaError(f"{path}.{name}: has no description")
        check(member, f"{path}.{name}")
    values = schema.get("additionalProperties")
    if values:
        if "maxProperties" not in schema:
            raise SchemaError(f"{path}: has no maxProperties")
        check(values, f"{path}.*")
    if "items" in schema:
        check(schema["items"], f"{path}[]")


def schema_of(kind: Kind) -> Schema:
    """The whole openAPIV3Schema of a kind. Raises SchemaError."""
    raw = kind.model.model_json_schema(by_alias=True, mode="validation")
    definitions = raw.get("$defs", {})
    parts = {
        name: structural(raw["properties"][name], definitions, f".{name}", defaults=name == "spec") for name in ("spec", "status")
    }
    for name, part in parts.items():
        check(part, f".{name}")
    first, words = ("[a-z]", ", a letter first") if kind.letter_first else ("[a-z0-9]", "")
    label = DNS_LABEL.replace("[a-z0-9]", first, 1)
    return {
        "type": "object",
        "description": raw["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
            "kind": {"type": "string", "description": "Kind of this object."},
            "metadata": {"type": "object"},
            **parts,
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.size() <= {kind.longest_name}",
                "message": f"metadata.name: at most {kind.longest_name} characters, {kind.why_longest}",
            },
            {
                "rule": f"self.metadata.name.matches('{label}')",
                "message": f"metadata.name: {LABEL_WORDS}{words}; no dots",
            },
        ],
    }


def _column(column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        entry["description"] = column.description
    return {**entry, "priority": 1} if column.wide else entry


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind. Raises SchemaError."""
    name = kind.model.KIND
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [kind.short],
                "categories": ["slipway"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    "schema": {"openAPIV3Schema": schema_of(kind)},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors: kubectl understands them, people and diffs do not."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_HEADER = "# Made by `python -m slipway.api.crd` from operator/slipway/api. Do not edit.\n"


def render(kind: Kind) -> str:
    """The file under crds/."""
    return _HEADER + yaml.dump(definition(kind), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def render_chart(kind: Kind) -> str:
    """The same as a template of the chart: installed with crds.enabled, kept on uninstall with crds.keep."""
    text = render(kind)
    if "{{" in text:
        raise SchemaError(f"{kind.plural}: '{{{{' would be taken for a template")
    name = f"  name: {kind.plural}.{GROUP}\n"
    metadata = (
        f"{name}"
        "  labels:\n"
        '    {{- include "slipway.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n"
        "  annotations:\n"
        "    helm.sh/resource-policy: keep\n"
        "  {{- end }}\n"
    )
    head, _, tail = text.removeprefix(_HEADER).partition(name)
    return f"{_HEADER}{{{{- if .Values.crds.enabled }}}}\n{head}{metadata}{tail}{{{{- end }}}}\n"


def files(out: Path, chart: Path | None) -> dict[Path, str]:
    """Path to content of everything that is generated."""
    wanted = {out / f"{GROUP}_{kind.plural}.yaml": render(kind) for kind in KINDS}
    if chart is not None:
        wanted |= {chart / f"{GROUP}_{kind.plural}.yaml": render_chart(kind) for kind in KINDS}
    return wanted


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or with ``--check`` only says which differ. Exit status 1 when one does."""
    parser = argparse.ArgumentParser(prog="python -m slipway.api.crd", description="Write the CustomResourceDefinitions.")
    parser.add_argument("--out", type=Path, default=Path("crds"), help="folder of the plain files (default: crds)")
    parser.add_argument("--chart", type=Path, default=None, help="folder of the chart's templates (default: not written)")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a file is not up to date")
    options = parser.parse_args(arguments)
    stale = [
        (path, text)
        for path, text in files(options.out, options.chart).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        sys.stdout.write(f"{path}: {'not up to date' if options.check else 'written'}\n")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
