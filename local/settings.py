"""What the environment of the process says, read in this one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CLUSTER_NAME = "slipway"


@dataclass(frozen=True)
class Settings:
    """Folders and addresses, as the environment gives them."""

    cache: Path
    """Everything this package keeps between runs."""
    kubeconfig: str
    """``KUBECONFIG`` of the caller, may be empty. Only the provider `current` looks at it."""
    registry_host: str
    """``SLIPWAY_REGISTRY_HOST``: ``host:port`` of an image registry, for the provider `current`."""
    registry_host_in_cluster: str
    s3_endpoint: str
    s3_endpoint_in_cluster: str
    s3_region: str
    s3_access_key: str
    s3_secret_key: str
    s3_buckets: tuple[str, ...]
    seaweedfs_image: str
    registry_image: str

    @property
    def state(self) -> Path:
        """The folder of the bare cluster: all of its state, and nothing else."""
        return self.cache / "cluster"

    @property
    def binaries(self) -> Path:
        """Built programs, one folder per digest of their inputs."""
        return self.cache / "bin"


def read(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings from the environment (or from `environ`, for tests)."""
    env = dict(os.environ) if environ is None else environ
    base = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".cache")
    endpoint = env.get("AWS_ENDPOINT_URL_S3", "") or env.get("AWS_ENDPOINT_URL", "")
    registry = env.get("SLIPWAY_REGISTRY_HOST", "")
    return Settings(
        cache=Path(base) / "slipway",
        kubeconfig=env.get("KUBECONFIG", ""),
        registry_host=registry,
        registry_host_in_cluster=env.get("SLIPWAY_REGISTRY_HOST_IN_CLUSTER", "") or registry,
        s3_endpoint=endpoint,
        s3_endpoint_in_cluster=env.get("SLIPWAY_S3_ENDPOINT_IN_CLUSTER", "") or endpoint,
        s3_region=env.get("AWS_REGION", "") or env.get("AWS_DEFAULT_REGION", "") or "us-east-1",
        s3_access_key=env.get("AWS_ACCESS_KEY_ID", ""),
        s3_secret_key=env.get("AWS_SECRET_ACCESS_KEY", ""),
        s3_buckets=tuple(b for b in env.get("SLIPWAY_S3_BUCKETS", CLUSTER_NAME).split(",") if b),
        seaweedfs_image=env.get("SLIPWAY_SEAWEEDFS_IMAGE", "") or "chrislusf/seaweedfs:4.48",
        registry_image=env.get("SLIPWAY_REGISTRY_IMAGE", "") or "registry:2.8.3",
    )


def search_path() -> str:
    """``PATH`` of the caller with the folders that hold network tools, which a normal user's often lacks."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"


def child_environment(**extra: str) -> dict[str, str]:
    """The caller's environment for a program started from here, with :func:`search_path` and `extra` on top."""
    return {**os.environ, "PATH": search_path(), **extra}


def daemon_environment(**extra: str) -> dict[str, str]:
    """A small environment for programs that outlive the command: nothing of the caller's secrets or proxies in it."""
    kept = {k: os.environ[k] for k in ("HOME", "LANG", "SSL_CERT_FILE", "TMPDIR") if k in os.environ}
    return {**kept, "PATH": search_path(), **extra}
