"""What a provider tells about its cluster."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class ClusterInfo:
    """How to reach a cluster and the services beside it. Paths are absolute, endpoints are URLs, hosts are ``host:port``."""

    provider: str
    kubeconfig: str
    context: str
    """Name of the kubeconfig's context; empty means its current one."""
    registry: str
    """``host:port`` of the image registry as this machine reaches it, plain http. May be empty with `current`."""
    registry_in_cluster: str
    """The same registry as pods reach it, and as image references name it for the kubelet."""
    s3_endpoint: str
    """URL of the object storage as this machine reaches it. May be empty with `current`."""
    s3_endpoint_in_cluster: str
    s3_region: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    buckets: tuple[str, ...]
    kubectl: str
    helm: str

    def to_json(self, *, redact: bool = False) -> str:
        """All fields as one JSON object. With `redact`, the secret key is left out."""
        return json.dumps(asdict(replace(self, s3_secret_key="") if redact else self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> ClusterInfo:
        """The inverse of :meth:`to_json`. Raises ValueError for anything else."""
        data: Any = json.loads(text)
        try:
            return cls(**{**data, "buckets": tuple(data["buckets"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not the description of a cluster: {error}") from error

    def environment(self) -> dict[str, str]:
        """The variables that make kubectl, AWS clients and slipway use this cluster."""
        values = {
            "KUBECONFIG": self.kubeconfig,
            "AWS_ENDPOINT_URL_S3": self.s3_endpoint,
            "AWS_REGION": self.s3_region,
            "AWS_ACCESS_KEY_ID": self.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3_secret_key,
            "SLIPWAY_REGISTRY_HOST": self.registry,
            "SLIPWAY_REGISTRY_HOST_IN_CLUSTER": self.registry_in_cluster,
            "SLIPWAY_S3_ENDPOINT_IN_CLUSTER": self.s3_endpoint_in_cluster,
            "SLIPWAY_S3_BUCKETS": ",".join(self.buckets),
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class Part:
    """One part of a cluster and how it does."""

    name: str
    healthy: bool
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """How a cluster does: ``up`` only if every part is healthy."""

    provider: str
    parts: tuple[Part, ...]

    @property
    def up(self) -> bool:
        """All parts are there and healthy."""
        return bool(self.parts) and all(part.healthy for part in self.parts)

    def to_json(self) -> str:
        """The status as one JSON object with ``up`` and a list of ``parts``."""
        return json.dumps({"provider": self.provider, "up": self.up, "parts": [asdict(p) for p in self.parts]}, indent=2)


class Provider(Protocol):
    """A way to have a cluster. All three can be repeated at will and after any interruption."""

    name: str

    def up(self) -> ClusterInfo:
        """Make the cluster run, or repair it, and wait until it is ready."""

    def down(self, *, purge: bool = False) -> None:
        """Take away everything :meth:`up` made. State that is only files stays unless `purge`."""

    def status(self) -> Status:
        """Look, change nothing."""

    def info(self) -> ClusterInfo:
        """Describe the cluster that is up. Raises LocalError if there is none."""


def absolute(path: Path | str) -> str:
    """An absolute path as text, without following links."""
    return str(Path(path).absolute())
