"""``POST /predict``: records, the rows of a table as objects by column name. Pure."""

from __future__ import annotations

from typing import Any

from slipway.serving.errors import BadInput
from slipway.serving.protocol.body import kind_of

FIELD = "records"


def read_records(body: Any) -> list[Any]:
    """The records of a request: a list, or ``{"records": [...]}``. Raises BadInput."""
    if type(body) is list:
        return body
    if type(body) is not dict:
        raise BadInput(f'body: {{"records": [{{…}}, …]}} belongs here, not {kind_of(body)}')
    records = body.get(FIELD)
    if type(records) is list:
        return records
    if records is not None:
        raise BadInput(f"records: a list belongs here, not {kind_of(records)}")
    hint = ""
    for key, route in (("inputs", "POST /v2/models/<model>/infer"), ("instances", "POST /v1/models/<model>:predict")):
        if key in body:
            hint = f"; {key} belong to {route}"
    wanted = hint or ': write {"records": [{…}, …]}'
    raise BadInput(f"records: missing{wanted}")


def write_records(model: str, version: str, predictions: Any) -> dict[str, Any]:
    """The response: one prediction for each record, in their order."""
    return {"model_name": model, "model_version": version, "predictions": predictions}
