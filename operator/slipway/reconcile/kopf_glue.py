"""kopf's part: it watches, and tells the queue which resource to look at. Nothing else happens here, and no handler
patches.

kopf's handlers for creation, update and deletion are not used: they are edge-triggered and keep their progress in the
objects of users. Indexes and low-level events are what a level-triggered controller needs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import kopf

from slipway.api.common import GROUP, LABEL_KIND
from slipway.kube.config import Connection
from slipway.kube.port import Resource
from slipway.kube.resources import DEPLOYMENT, JOB, MODEL_DEPLOYMENT
from slipway.reconcile.contract import Key
from slipway.reconcile.routing import RESOURCES, keys_for

log = logging.getLogger(__name__)

CHILDREN = (JOB, DEPLOYMENT)
"""Kinds of children whose progress is waited for. Others are looked at by the resync."""
INDEX = "model_deployments"
REQUEST_TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0
SERVER_TIMEOUT = 300
"""Sent as it is written here, and the API server wants a whole number of seconds."""
CLIENT_TIMEOUT = 330
INACTIVITY_TIMEOUT = 70.0
BACKOFFS = (0.5, 1, 2, 3, 5, 8, 13, 21)


def settings() -> kopf.OperatorSettings:
    """How kopf has to work here; each line answers a known trap (see docs/adr/0001-level-triggered-on-kopf.md)."""
    chosen = kopf.OperatorSettings()
    # events are ours: one for each change of a status, not one for each log line
    chosen.posting.enabled = False
    # the kinds are there before kopf starts, and listing CRDs and namespaces would need rights over the whole cluster
    chosen.scanning.disabled = True
    # leader election is by a lease; peering freezes operators of the same priority
    chosen.peering.standalone = True
    # a silent watch is closed and opened again
    chosen.watching.server_timeout = SERVER_TIMEOUT
    chosen.watching.client_timeout = CLIENT_TIMEOUT
    chosen.watching.connect_timeout = CONNECT_TIMEOUT
    chosen.watching.inactivity_timeout = INACTIVITY_TIMEOUT
    chosen.watching.chunk_size = 500
    for child in CHILDREN:
        # sorted out by the server: other people's Jobs and Deployments do not even travel
        chosen.watching.label_selectors[child.group, child.version, child.plural] = LABEL_KIND
    chosen.networking.request_timeout = REQUEST_TIMEOUT
    chosen.networking.connect_timeout = CONNECT_TIMEOUT
    chosen.networking.error_backoffs = BACKOFFS
    chosen.queueing.worker_limit = None
    chosen.queueing.idle_timeout = 1.0
    # never written, because no handler needs them; under our name in case a future version of kopf thinks otherwise
    chosen.persistence.finalizer = f"{GROUP}/kopf"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    chosen.execution.max_workers = 1
    return chosen


def registry(add: Callable[[Key], None], login: Callable[[], Connection]) -> kopf.OperatorRegistry:
    """kopf's handlers: `add` gets the keys to look at; `login` gives the present credentials."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        # reading a file of a few bytes on a memory file system
        return _connection_info(login())

    @kopf.index(*_selector(MODEL_DEPLOYMENT), id=INDEX, registry=handlers)
    async def index_deployment(namespace: str | None, name: str, **_: Any) -> dict[str, str]:
        return {namespace or "": name}

    async def changed(body: kopf.Body, **kwargs: Any) -> None:
        index: kopf.Index[str, str] = kwargs[INDEX]

        def deployments(namespace: str) -> Iterable[str]:
            return list(index.get(namespace, ()))

        for key in keys_for(body, deployments):
            add(key)

    for resource in RESOURCES:
        kopf.on.event(*_selector(resource), id=f"{resource.plural}-changed", registry=handlers)(changed)
    for child in CHILDREN:
        kopf.on.event(*_selector(child), id=f"{child.plural}-changed", labels={LABEL_KIND: kopf.PRESENT}, registry=handlers)(
            changed
        )
    return handlers


async def watch(add: Callable[[Key], None], login: Callable[[], Connection], namespaces: Iterable[str]) -> None:
    """Watches `namespaces` (none: all) until a signal ends the process, or it is cancelled. Raises what ends kopf
    otherwise: then the process has to end too, because nobody would watch any more."""
    chosen = tuple(namespaces)
    # kopf takes SIGTERM and SIGINT over; with a stop flag it would wait five seconds for its own waiter at each end
    await kopf.operator(
        registry=registry(add, login),
        settings=settings(),
        standalone=True,
        clusterwide=not chosen,
        namespaces=chosen,
    )


def _selector(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural


def _connection_info(connection: Connection) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=connection.server,
        ca_path=connection.ca_path,
        ca_data=connection.ca_data,
        insecure=connection.insecure,
        username=connection.username,
        password=connection.password,
        token=connection.token,
        certificate_path=connection.certificate_path,
        certificate_data=connection.certificate_data,
        private_key_path=connection.private_key_path,
        private_key_data=connection.private_key_data,
        default_namespace=connection.namespace,
    )
