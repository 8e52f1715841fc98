"""How a command reaches the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from slipway.cli.kubeconfig import check_whole, current
from slipway.kube.port import Kube, KubeError
from slipway.settings import environment

if TYPE_CHECKING:
    from slipway.cli.session import Session

SECONDS = 3.0
"""How long the question who we are may take: the answer is a nicety."""


@asynccontextmanager
async def connect(kubeconfig: str | None, context: str | None) -> AsyncIterator[Kube]:
    """A connection to the cluster of the kubeconfig, or of the pod that this runs in. Raises CliError and
    `slipway.kube.config.NoClusterError`, which say what to do."""
    from slipway.kube.client import KubeClient

    found = current(kubeconfig, context, environment())
    check_whole(found)
    async with KubeClient.connect(kubeconfig=found.file, context=found.name) as client:
        yield client


def whoami(session: Session) -> str | None:
    """The name by which the cluster knows us; None when it does not tell."""

    async def ask(kube: Kube) -> str | None:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {"name": "me"}}
        answer = await asyncio.wait_for(kube.create(review), SECONDS)
        name = answer.get("status", {}).get("userInfo", {}).get("username")
        return name if isinstance(name, str) and name else None

    try:
        return session.cluster.run(ask)
    except (KubeError, TimeoutError):
        return None
