"""The v1 protocol (``/v1/models/<model>:predict``), as TensorFlow Serving and older KServe speak it. Pure.

Source: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from __future__ import annotations

from typing import Any

from slipway.serving.errors import BadInput
from slipway.serving.protocol.body import kind_of


def read_instances(body: dict[str, Any]) -> list[Any]:
    """The rows of a request. Raises BadInput."""
    instances = body.get("instances")
    if type(instances) is list:
        return instances
    if instances is None:
        hint = "; inputs belong to POST /v2/models/<model>/infer" if "inputs" in body else ': write {"instances": [[…], …]}'
        raise BadInput(f"instances: missing{hint}")
    raise BadInput(f"instances: a list belongs here, not {kind_of(instances)}")


def write_predictions(rows: list[Any]) -> dict[str, Any]:
    """The response: plain values where the model has one output, else one object by output name for each row."""
    if rows and all(type(row) is dict and len(row) == 1 for row in rows):
        return {"predictions": [value for row in rows for value in row.values()]}
    return {"predictions": rows}
