"""The settings of an installation; with `slipway.environment` the only reader of the process environment.

Every setting is an environment variable ``SLIPWAY_<NAME>``; the chart's values are written to these. Credentials are not
settings: object storage is reached the AWS way (``AWS_*`` variables, files, web identity).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from slipway.environment import environment
from slipway.provenance.policy import Policy

__all__ = ["ReadGrant", "Settings", "environment"]


class ReadGrant(BaseModel):
    """Namespace `from_` may read the models of namespace `to`."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)
    from_: str = Field(alias="from")
    to: str


class Settings(BaseSettings):
    """Settings of the operator process."""

    model_config = SettingsConfigDict(env_prefix="SLIPWAY_", frozen=True, extra="ignore")

    registry: str = "s3://slipway"
    """Where the model registry lives: ``s3://bucket[/prefix]``."""
    namespace: str = "slipway-system"
    """The operator's own namespace, for its lease."""
    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated; empty means all namespaces."""

    # what pods get
    training_image: str = ""
    serving_image: str = ""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secret: str = ""
    store_secret: str = "slipway-store"  # noqa: S105  the name of a Secret
    """Secret in the pods' own namespace whose keys become environment variables (AWS_ACCESS_KEY_ID …)."""
    store_endpoint: str = ""
    """``AWS_ENDPOINT_URL_S3`` for pods; empty for AWS itself."""
    store_region: str = "us-east-1"
    training_service_account: str = "default"
    serving_service_account: str = "default"
    node_cache_path: str = ""
    """Folder of each node in which pods that serve keep downloaded models, ``/var/lib/slipway/models``; empty: none."""
    node_cache_size: str = "20Gi"
    """What each namespace may keep there."""
    node_cache_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated; those whose pods may mount it, which Pod Security baseline and restricted forbid. ``*``: all."""
    insecure_registries: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated ``host:port`` of image registries that are reached by plain http."""
    package_index_url: str = ""
    """Python package index for app builds; empty for the resolver's own default."""
    trusted_types: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated types that skops artifacts may hold beyond the built-in list."""
    allow_pickle: bool = False
    read_grants: tuple[ReadGrant, ...] = ()
    """JSON list of ``{"from": namespace, "to": namespace}``."""

    # what is said of versions, and what of it is demanded
    signing_key: str = ""
    """Path of a private key (PEM, P-256 or larger) with which versions are signed; empty: they are not."""
    verification: Policy = Policy.OFF
    """What a version must prove before it is rolled out and when a pod loads it: ``off``, ``provenance`` or ``signed``."""
    public_keys: str = ""
    """Public keys whose signatures count, PEM blocks one after the other."""

    prometheus_url: str = ""
    """Base URL of a Prometheus that gates are read from; empty: they are read from the pods."""

    openlineage_url: str = ""
    """Receiver of OpenLineage run events, for example ``http://marquez:5000``; empty: nobody is told."""
    openlineage_api_key: str = ""
    openlineage_namespace: str = ""
    """Goes before the namespaces of jobs, ``prod/`` for example: receivers see more than one cluster."""

    webhook_url: str = ""
    """Receiver of CloudEvents about builds, versions and roll-outs; empty: nobody is told."""
    webhook_header: str = "Authorization"
    """Name of the header that goes along with every event, with `webhook_secret` as its value."""
    webhook_secret: str = ""
    webhook_source: str = ""
    """Goes before the source of every event: receivers see more than one cluster."""

    # how the operator works
    workers: int = 8
    store_threads: int = 16
    resync_seconds: float = 30.0
    alias_poll_seconds: float = 2.0
    """Pause between two looks at the registry's news of moved aliases: one request, however many models there are."""
    index_seconds: float = 300.0
    """Seconds between two updates of the registry's search index; 0: never."""
    gc_enabled: bool = True
    gc_seconds: float = Field(default=21600.0, ge=60)
    """Seconds between two runs of the garbage collector."""
    gc_grace_hours: float = Field(default=24.0, ge=13)
    """Least age of garbage, and least time from its condemnation to its end."""
    leader_elect: bool = True
    health_port: int = 8080
    bind_address: str = "0.0.0.0"  # noqa: S104  pods are probed and scraped on their own address
    log_format: str = "json"
    log_level: str = "INFO"

    @field_validator("watch_namespaces", "insecure_registries", "trusted_types", "node_cache_namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @classmethod
    def load(cls) -> Settings:
        """From the process environment. Raises pydantic's ValidationError, which names the variable."""
        return cls()
