"""What a command was told about where to work, and the ways from there to the registry and to the cluster."""

from __future__ import annotations

import getpass
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.kubeconfig import DEFAULT_NAMESPACE, KubeContext, current
from slipway.settings import environment

if TYPE_CHECKING:
    from slipway.cli.cluster import Cluster
    from slipway.registry.names import ModelName, ModelRef
    from slipway.registry.registry import Registry
    from slipway.storage import S3Options

MAX_NAMESPACE = 63
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
NO_REGISTRY = (
    "no model registry is named: add --registry s3://bucket/prefix or set SLIPWAY_REGISTRY "
    "(its endpoint and credentials the AWS way: AWS_ENDPOINT_URL_S3, AWS_PROFILE, AWS_ACCESS_KEY_ID)"
)


@dataclass
class Session:
    """The options that all commands share, and what follows from them. Nothing is opened before it is used."""

    registry_uri: str | None = None
    namespace_option: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    options: S3Options | None = field(default=None, repr=False)

    @cached_property
    def kube_context(self) -> KubeContext:
        """The kubeconfig's context in force. Raises CliError."""
        return current(self.kubeconfig, self.context, environment())

    @property
    def namespace(self) -> str:
        """``-n``, else the namespace of the kube context, else ``default``. Raises CliError for what can be none."""
        if self.namespace_option is None:
            return self.kube_context.namespace or DEFAULT_NAMESPACE
        return check_namespace(self.namespace_option)

    @property
    def has_registry(self) -> bool:
        """Whether a registry is named."""
        return bool(self.registry_uri or environment().get("SLIPWAY_REGISTRY", "").strip())

    @cached_property
    def registry(self) -> Registry:
        """The model registry. Raises CliError when none is named."""
        from slipway.registry.registry import Registry

        uri = self.registry_uri or environment().get("SLIPWAY_REGISTRY", "").strip()
        if not uri:
            raise CliError(NO_REGISTRY, ExitCode.USAGE)
        return Registry.open(uri, self.options)

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster of the kubeconfig."""
        from slipway.cli import connection
        from slipway.cli.cluster import Cluster

        return Cluster(lambda: connection.connect(self.kubeconfig, self.context))

    def model(self, text: str) -> ModelName:
        """A model's name as a person wrote it. Raises InvalidName."""
        from slipway.registry.names import ModelName

        return ModelName.parse(text, None if "/" in text else self.namespace)

    def ref(self, text: str) -> ModelRef:
        """``NAME``, ``NAME@alias`` or ``NAME:7`` as a person wrote it. Raises InvalidName."""
        from slipway.registry.names import ModelRef

        return ModelRef.parse(text, None if "/" in text else self.namespace)

    def person(self) -> str:
        """Who is working here, for records of what was done to a cluster: the name that the cluster knows for us, else
        the kubeconfig's user, else the login name."""
        from slipway.cli.connection import whoami

        return (whoami(self) or self.kube_context.user or login())[:253]

    @staticmethod
    def now() -> datetime:
        """The present time in UTC."""
        return datetime.now(UTC)

    @staticmethod
    def seconds() -> float:
        """A clock for lengths of time, in seconds."""
        return time.monotonic()

    @staticmethod
    def pause(seconds: float) -> None:
        """Waits before the next look."""
        time.sleep(seconds)


def check_namespace(name: str) -> str:
    """`name` when it can be a namespace's. Raises CliError."""
    if len(name) > MAX_NAMESPACE or not _NAMESPACE.fullmatch(name):
        rule = f"lower-case letters, digits and '-', a letter or digit at both ends, at most {MAX_NAMESPACE} characters"
        raise CliError(f"--namespace {name[:80]!r}: {rule}", ExitCode.USAGE)
    return name


def login() -> str:
    """The login name; ``unknown`` where there is none, as in a container with a made-up user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
