"""Which API server, and as whom: in a pod by its service account, elsewhere by a kubeconfig as kubectl reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from slipway.kube.port import KubeError


class NoClusterError(KubeError):
    """No usable configuration of a cluster. The message says where it was looked for and what to do."""


@dataclass(frozen=True)
class Connection:
    """A configuration, taken apart for libraries that connect by themselves. Holds secrets: never log it."""

    server: str
    namespace: str
    ca_path: str | None = None
    ca_data: str | None = None
    insecure: bool = False
    certificate_path: str | None = None
    certificate_data: str | None = None
    private_key_path: str | None = None
    private_key_data: str | None = None
    token: str | None = None
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Connection(server={self.server!r}, namespace={self.namespace!r})"


def load(kubeconfig: str | Path | None = None, context: str | None = None) -> SingleConfig:
    """The configuration of `context` (default: the current one) in the file `kubeconfig`; without a file the pod's
    service account, then ``$KUBECONFIG``, then ``~/.kube/config``. Raises NoClusterError."""
    try:
        found = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        config = found.get(context)
    except ConfigError as error:
        raise NoClusterError(f"no cluster is configured: {error}. Name a file by --kubeconfig or KUBECONFIG") from error
    except (AttributeError, LookupError, TypeError, ValueError, OSError, yaml.YAMLError, msgspec.MsgspecError) as error:
        where = kubeconfig or "the kubeconfig"
        raise NoClusterError(f"{where} cannot be used: {type(error).__name__} {error}") from error
    if config is None or config.user is None:
        raise NoClusterError("the kubeconfig's context names no user: add one, or choose another by --context")
    return config


def connection(config: SingleConfig) -> Connection:
    """`config` taken apart; the service account's token is read anew each time, because it is replaced every hour.
    Raises NoClusterError for a user who logs in by a plugin, which only the client itself can run."""
    user, cluster = config.user, config.cluster
    if user is None:
        raise NoClusterError("the kubeconfig's context names no user")
    if user.exec is not None and user.token is None:
        raise NoClusterError(
            f"the kubeconfig logs in by running {user.exec.command}: use a service account's token for the operator"
        )
    token = Path(user.token_file).read_text().strip() if user.token_file else user.token

    def path(name: str | None) -> str | None:
        return str(config.abs_file(name)) if name else None

    return Connection(
        server=cluster.server,
        namespace=config.namespace,
        ca_path=path(cluster.certificate_auth),
        ca_data=cluster.certificate_auth_data,
        insecure=cluster.insecure,
        certificate_path=path(user.client_cert),
        certificate_data=user.client_cert_data,
        private_key_path=path(user.client_key),
        private_key_data=user.client_key_data,
        token=token,
        username=user.username,
        password=user.password,
    )
