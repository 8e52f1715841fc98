"""Versions and models in the form of MLflow's REST API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slipway.registry.records import AliasMove, VersionRecord

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
VERSION_ATTRIBUTES = frozenset(
    {"name", "version_number", "version", "run_id", "source_path", "creation_timestamp", "last_updated_timestamp"}
)
MODEL_ATTRIBUTES = frozenset({"name", "creation_timestamp", "last_updated_timestamp"})


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def run_id(record: VersionRecord) -> str:
    """32 hexadecimal digits, as MLflow's run ids: of the build."""
    return record.build_id.removeprefix("sha256:")[:32]


def artifact_path(record: VersionRecord) -> str:
    """``namespace/model/version``: where the artifacts of a version are listed."""
    return f"{record.model}/{record.version}"


def tags_of(record: VersionRecord) -> dict[str, str]:
    """The version's own tags, and ours: what MLflow has no field for."""
    ours = {
        "slipway.digest": record.digest,
        "slipway.build_id": record.build_id,
        "slipway.format": record.format,
        "slipway.reason": record.reason,
        "slipway.builder": record.builder,
        "slipway.commit": record.source.commit if record.source else None,
        "slipway.image": record.environment.image,
    }
    return dict(record.tags) | {key: value for key, value in ours.items() if value}


def description(record: VersionRecord) -> str:
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in sorted(record.metrics.items())[:6])
    return f"{record.reason} by {record.builder}" + (f": {metrics}" if metrics else "")


def version_attributes(record: VersionRecord, name: str, source: str) -> dict[str, Any]:
    at = millis(record.created_at)
    return {
        "name": name,
        "version": record.version,
        "version_number": record.version,
        "run_id": run_id(record),
        "source_path": source,
        "creation_timestamp": at,
        "last_updated_timestamp": at,
    }


def model_version(record: VersionRecord, name: str, source: str, aliases: Mapping[str, AliasMove]) -> dict[str, Any]:
    """`source`: the URI under which the version's artifacts are had."""
    at = millis(record.created_at)
    return {
        "name": name,
        "version": str(record.version),
        "creation_timestamp": at,
        "last_updated_timestamp": at,
        "current_stage": "None",
        "description": description(record),
        "source": source,
        "run_id": run_id(record),
        "status": "READY",
        "tags": [{"key": key, "value": value} for key, value in sorted(tags_of(record).items())],
        "aliases": sorted(alias for alias, move in aliases.items() if move.version == record.version),
        "model_params": [{"name": key, "value": str(value)} for key, value in sorted(record.params.items())],
        "model_metrics": [
            {"key": key, "value": value, "timestamp": at, "step": 0} for key, value in sorted(record.metrics.items())
        ],
    }


def registered_model(
    name: str, first: datetime, latest: VersionRecord, source: str, aliases: Mapping[str, AliasMove]
) -> dict[str, Any]:
    return {
        "name": name,
        "creation_timestamp": millis(first),
        "last_updated_timestamp": millis(max([latest.created_at, *(move.at for move in aliases.values())])),
        "description": "",
        "latest_versions": [model_version(latest, name, source, aliases)],
        "aliases": [{"alias": alias, "version": str(move.version)} for alias, move in sorted(aliases.items())],
        "tags": [],
    }
