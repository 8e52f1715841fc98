"""Stored documents, read and written: what a newer Slipway wrote is told from what is broken."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import ValidationError

from slipway.registry.errors import CorruptRecord, NewerSchema
from slipway.registry.records import SCHEMA_VERSION, Document
from slipway.storage.port import NotFound, ObjectStore

D = TypeVar("D", bound=Document)


def load(kind: type[D], data: bytes, where: str) -> D:
    """The document in `data`. `where` names the object in errors. Raises NewerSchema, CorruptRecord."""
    try:
        raw = json.loads(data)
    except ValueError as error:
        raise CorruptRecord(f"{where} is not JSON ({len(data)} bytes: {error})") from error
    if not isinstance(raw, dict):
        raise CorruptRecord(f"{where} holds a JSON {type(raw).__name__} where an object belongs")
    schema = raw.get("schemaVersion", SCHEMA_VERSION)
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise CorruptRecord(f"{where}: schemaVersion is {schema!r}, a number belongs there")
    if schema > SCHEMA_VERSION:
        raise NewerSchema(
            f"{where} has schema version {schema}, written by a newer Slipway; this one reads up to {SCHEMA_VERSION}: "
            "upgrade slipway"
        )
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise CorruptRecord(f"{where}: field {field}: {first['msg']}") from error


def read(store: ObjectStore, key: str, kind: type[D]) -> D | None:
    """The document under `key`; None when there is none. Raises NewerSchema, CorruptRecord."""
    try:
        data = store.get(key).data
    except NotFound:
        return None
    return load(kind, data, f"{store.uri}/{key}")


def peek(data: bytes, field: str) -> Any:
    """One field of a document that need not be whole or known; None when it cannot be had."""
    try:
        raw = json.loads(data)
    except ValueError:
        return None
    return raw.get(field) if isinstance(raw, dict) else None
