"""Fields of resources that end up in a pod."""

from __future__ import annotations

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
