"""A Feast repository's registry, read without Feast: ``feature_store.yaml``, and the registry as a file, or as the JSON that
``feast registry-dump`` writes, whatever keeps it.

Only the fields that are used are described here, by the numbers of Feast's own ``.proto`` files; what else is there, pickled
functions above all, is skipped and never run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from slipway.importers.errors import ImportFailed
from slipway.storage.keys import parse_s3
from slipway.storage.port import InvalidKey, NotFound, Stores

_PACKAGE = "feast.core"
_VALUE_TYPES = {
    "INVALID": 0, "BYTES": 1, "STRING": 2, "INT32": 3, "INT64": 4, "DOUBLE": 5, "FLOAT": 6, "BOOL": 7, "UNIX_TIMESTAMP": 8,
    "BYTES_LIST": 11, "STRING_LIST": 12, "INT32_LIST": 13, "INT64_LIST": 14, "DOUBLE_LIST": 15, "FLOAT_LIST": 16,
    "BOOL_LIST": 17, "UNIX_TIMESTAMP_LIST": 18, "MAP": 20, "JSON": 32, "STRUCT": 34, "UUID": 36, "DECIMAL": 44,
}  # fmt: skip
_SOURCE_TYPES = {
    "INVALID_SOURCE": 0, "BATCH_FILE": 1, "BATCH_BIGQUERY": 2, "STREAM_KAFKA": 3, "STREAM_KINESIS": 4, "BATCH_REDSHIFT": 5,
    "CUSTOM_SOURCE": 6, "REQUEST_SOURCE": 7, "BATCH_SNOWFLAKE": 8, "PUSH_SOURCE": 9, "BATCH_TRINO": 10, "BATCH_SPARK": 11,
    "BATCH_ATHENA": 12,
}  # fmt: skip
# message -> field -> (number, type); a type in brackets repeats, one with a capital letter is a message or an enum
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Feature": {"name": (1, "string"), "value_type": (2, "ValueType"), "description": (4, "string")},
    "Nothing": {},
    "FileFormat": {"parquet_format": (1, "Nothing"), "delta_format": (2, "Nothing")},
    "FileOptions": {"file_format": (1, "FileFormat"), "uri": (2, "string"), "s3_endpoint_override": (3, "string")},
    "DataSource": {
        "name": (20, "string"), "type": (1, "SourceType"), "field_mapping": (2, "map"), "timestamp_field": (3, "string"),
        "created_timestamp_column": (5, "string"), "file_options": (11, "FileOptions"), "batch_source": (26, "DataSource"),
    },
    "EntitySpec": {
        "name": (1, "string"), "project": (9, "string"), "value_type": (2, "ValueType"), "description": (3, "string"),
        "join_key": (4, "string"),
    },
    "ViewSpec": {
        "name": (1, "string"), "project": (2, "string"), "entities": (3, "[string]"), "features": (4, "[Feature]"),
        "tags": (5, "map"), "ttl": (6, ".google.protobuf.Duration"), "batch_source": (7, "DataSource"),
        "description": (10, "string"), "entity_columns": (12, "[Feature]"),
    },
    "OtherSpec": {"name": (1, "string"), "project": (2, "string")},
    "Projection": {"feature_view_name": (1, "string"), "feature_columns": (2, "[Feature]")},
    "ServiceSpec": {"name": (1, "string"), "project": (2, "string"), "features": (3, "[Projection]")},
    "Entity": {"spec": (1, "EntitySpec")},
    "View": {"spec": (1, "ViewSpec")},
    "Other": {"spec": (1, "OtherSpec")},
    "Service": {"spec": (1, "ServiceSpec")},
    "Registry": {
        "entities": (1, "[Entity]"), "feature_views": (6, "[View]"), "feature_services": (7, "[Service]"),
        "on_demand_feature_views": (8, "[Other]"), "stream_feature_views": (14, "[Other]"), "label_views": (19, "[Other]"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Repository:
    """A Feast repository. `registry` is its ``feast.core.Registry`` message, as far as it is described above."""

    root: Path
    project: str
    registry: Any

    def all_of(self, kind: str) -> list[Any]:
        """The specs of one kind (``feature_views``, ``entities`` …) of this project."""
        specs = [one.spec for one in getattr(self.registry, kind)]
        return [spec for spec in specs if not self.project or spec.project in ("", self.project)]


def read_repository(root: Path, stores: Stores, registry: Path | None = None) -> Repository:
    """The repository in the folder `root`. `registry`: a registry file, or a dump (``.json``), in place of the one that
    ``feature_store.yaml`` names. Raises ImportFailed."""
    settings = _settings(root)
    project = str(settings.get("project") or "")
    if registry is not None:
        return Repository(root, project, _parsed(_local(registry), str(registry)))
    named = settings.get("registry", "data/registry.db")
    kind = named.get("registry_type", "file") if isinstance(named, dict) else "file"
    where = str(named.get("path", "")) if isinstance(named, dict) else str(named)
    if kind != "file" or "://" in where.removeprefix("s3://").removeprefix("file://"):
        raise ImportFailed(
            f"{root}: the registry is {kind} at {where.partition('://')[0]}, not a file: write `feast registry-dump > registry.json`"
            " where Feast is installed, and give --registry-file registry.json"
        )
    return Repository(root, project, _parsed(_read(where, root, stores), where))


def _settings(root: Path) -> dict[str, Any]:
    path = root / "feature_store.yaml"
    if not path.is_file():
        inner = root / "feature_repo" / "feature_store.yaml"
        hint = f"; perhaps {inner.parent}?" if inner.is_file() else ""
        raise ImportFailed(f"{root} is no Feast repository: there is no feature_store.yaml{hint}")
    try:
        found = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ImportFailed(f"{path} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise ImportFailed(f"{path}: a mapping belongs there")
    return found


def _read(where: str, root: Path, stores: Stores) -> bytes:
    if not where.startswith("s3://"):
        return _local(root / where.removeprefix("file://"))
    try:
        place = parse_s3(where)
        return stores(place.bucket).get(place.path).data
    except InvalidKey as error:
        raise ImportFailed(str(error)) from error
    except NotFound as error:
        raise ImportFailed(f"there is no registry at {where}: run `feast apply`") from error


def _local(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImportFailed(f"there is no registry at {path}: run `feast apply`") from None
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error}") from error


def _parsed(data: bytes, where: str) -> Any:
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    found = _message()()
    try:
        if data.lstrip()[:1] == b"{":
            json_format.Parse(data.decode(), found, ignore_unknown_fields=True)
        else:
            found.ParseFromString(data)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError) as error:
        raise ImportFailed(f"{where} is no Feast registry: {str(error)[:300]}") from error
    return found


@cache
def _message() -> Any:
    """The class of the message Registry, in a pool of its own: Feast may be imported in the same process."""
    from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="slipway/feast.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append("google/protobuf/duration.proto")
    for name, values in (("ValueType", _VALUE_TYPES), ("SourceType", _SOURCE_TYPES)):
        enum = file.enum_type.add(name=name)
        for word, number in values.items():
            enum.value.add(name=word, number=number)
    for name, known in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in known.items():
            _add_field(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Registry"))


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    from google.protobuf import descriptor_pb2

    types = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=number, label=types.LABEL_OPTIONAL)
    if kind.startswith("["):
        field.label, kind = types.LABEL_REPEATED, kind[1:-1]
    if kind == "map":  # as the wire format has it: repeated pairs, of a nested type that is marked
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        for place, part in enumerate(("key", "value"), start=1):
            entry.field.add(name=part, number=place, label=types.LABEL_OPTIONAL, type=types.TYPE_STRING)
        entry.options.map_entry = True
        field.label, field.type = types.LABEL_REPEATED, types.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
    elif kind == "string":
        field.type = types.TYPE_STRING
    else:
        field.type = types.TYPE_ENUM if kind in ("ValueType", "SourceType") else types.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{_PACKAGE}.{kind}"
