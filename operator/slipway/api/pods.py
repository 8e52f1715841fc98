"""Fields of resources that end up in a pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from slipway.api.common import rules


def _quantities(field: str, description: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 64,
        },
        **rules(
            (
                "self.all(name, type(self[name]) == int || isQuantity(self[name]))",
                f"{field}: not a quantity; write for example cpu: 500m, memory: 512Mi",
            )
        ),
    }


Resources = Annotated[
    dict[str, dict[str, int | str]],
    Field(
        json_schema_extra={
            "type": "object",
            "additionalProperties": None,
            "properties": {
                "requests": _quantities(
                    "requests",
                    "What the scheduler sets aside, by resource name, for example cpu: 500m, memory: 512Mi.",
                ),
                "limits": _quantities(
                    "limits",
                    "What the container may use at most, by resource name. More memory than this ends it.",
                ),
            },
        }
    ),
]
"""As `resources` of a container: ``{"requests": {…}, "limits": {…}}``."""

PodTemplate = Annotated[
    dict[str, Any],
    Field(json_schema_extra={"type": "object", "additionalProperties": None, "x-kubernetes-preserve-unknown-fields": True}),
]
"""A PodTemplateSpec to merge; its schema is left open, the API server checks the pods made from it."""

Replicas = Annotated[int, Field(ge=0, le=1000)]

_OBJECTS = ("metadata", "metadata.labels", "metadata.annotations", "spec", "spec.nodeSelector", "spec.securityContext")
_NAMED = ("spec.containers", "spec.initContainers", "spec.volumes")


def template_problem(field: str, template: Mapping[str, Any]) -> str | None:
    """What is so wrong with the shape of a PodTemplateSpec that it cannot be merged, in words that begin with `field`; None
    when nothing is. Its schema is open, so anything may be in there; what only makes no sense in a pod is the API server's
    to refuse."""
    for path in _OBJECTS:
        value = _at(template, path)
        if value is not None and not isinstance(value, Mapping):
            return f"{field}.{path}: write an object, as in a PodTemplateSpec"
    for path in _OBJECTS[1:3]:
        for name, value in (_at(template, path) or {}).items():
            if not isinstance(value, str):
                return f"{field}.{path}.{name}: write text, in quotes if it looks like a number or a boolean"
    for path in _NAMED:
        value = _at(template, path)
        if value is not None and not (isinstance(value, list) and all(_is_named(entry) for entry in value)):
            return f"{field}.{path}: write a list of objects that each have a name"
    for path in _NAMED[:2]:
        for entry in _at(template, path) or ():
            for part in ("env", "envFrom", "ports", "volumeMounts"):
                inner = entry.get(part)
                if inner is not None and not (isinstance(inner, list) and all(isinstance(each, Mapping) for each in inner)):
                    return f"{field}.{path}[name={entry['name']}].{part}: write a list of objects"
    return None


def _is_named(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("name"), str)


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
