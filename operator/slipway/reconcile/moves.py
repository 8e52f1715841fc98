"""Carries out what a plan asks of the registry. Each move is idempotent; nothing is decided here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.features.errors import InvalidDefinition
from slipway.features.records import Revision
from slipway.features.views import Views
from slipway.kube.port import Kube
from slipway.provenance.attest import Attester
from slipway.reconcile.contract import (
    ApplyDefinition,
    Conflict,
    DropPin,
    Move,
    MoveAlias,
    PutBlobs,
    PutPin,
    PutRequest,
    RefusePromotion,
    RegisterVersion,
    Stalled,
    StoreLog,
)
from slipway.reconcile.errors import INTERNAL_ERROR
from slipway.reconcile.stores import Blocking
from slipway.registry.blobs import Blobs
from slipway.registry.errors import LostRace
from slipway.registry.records import AliasMove, Refusal, VersionRecord
from slipway.registry.registry import Registry
from slipway.training.contract import attempt_prefix

LOG_TAIL_BYTES = 1 << 20
"""Of a killed pod's log, the end is what says why: so much of it is kept."""


@dataclass
class Moved:
    """What the moves of one plan have given so far."""

    registered: VersionRecord | None = None
    aliases: tuple[AliasMove, ...] = ()
    revision: Revision | None = None
    refusal: Refusal | None = None


class RegistryMoves:
    """The executor of moves. `fence` runs before each write and raises LeaseLost when this process may not write."""

    def __init__(
        self,
        kube: Kube,
        registry: Registry,
        blobs: Blobs,
        blocking: Blocking,
        fence: Callable[[], None],
        attester: Attester | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._registry = registry
        self._blobs = blobs
        self._blocking = blocking
        self._fence = fence
        self._attester = attester or Attester()
        self._now = now

    async def make(self, move: Move, moved: Moved) -> None:
        """Raises the store's, the registry's and the API server's errors."""
        self._fence()
        run = self._blocking.run
        match move:
            case ApplyDefinition():
                moved.revision = await run(self._apply_definition, move)
            case PutBlobs(blobs):
                await run(self._put_blobs, blobs.values())
            case PutRequest(build_id, attempt, document):
                key = f"{attempt_prefix(build_id, attempt)}request.json"
                await run(self._registry.store.put, key, document, content_type="application/json")
            case StoreLog():
                await self._store_log(move)
            case RegisterVersion(draft, facts):
                if facts is not None:
                    draft = await run(self._attester.attest, draft, facts, self._blobs)
                    self._fence()
                moved.registered = await run(self._registry.register, draft)
            case MoveAlias():
                moved.aliases += (await self._move_alias(move, moved.registered),)
            case RefusePromotion(model, alias, version, by, reason, expired):
                refuse = self._registry.refuse
                moved.refusal = await run(refuse, model, alias, version, by=by, reason=reason, expired=expired)
            case PutPin(kind, namespace, name, versions, blobs, images):
                await run(self._registry.pin, kind, namespace, name, versions=versions, blobs=blobs, images=images)
            case DropPin(kind, namespace, name):
                await run(self._registry.unpin, kind, namespace, name)

    def _apply_definition(self, move: ApplyDefinition) -> Revision:
        views = Views(self._registry.store)
        try:
            return views.apply(move.namespace, move.view, by=move.by, writer=str(uuid.uuid4()), now=self._now)
        except (InvalidDefinition, LostRace) as error:  # somebody was there first, with another definition
            raise Conflict(str(error)) from error

    def _put_blobs(self, blobs: Iterable[bytes]) -> None:
        for data in blobs:
            self._blobs.put_bytes(data)

    async def _store_log(self, move: StoreLog) -> None:
        result, log = move.result, None
        if move.pod:
            log = await self._kube.pod_log(move.namespace, move.pod, move.container, tail_bytes=LOG_TAIL_BYTES)
        if log:
            path = f"logs/{move.container}.log"
            entry = await self._blocking.run(self._blobs.put_bytes, log, "text/plain; charset=utf-8", path=path)
            result = result.model_copy(update={"logs": (*result.logs, entry)})
        self._fence()
        await self._blocking.run(self._registry.write_result, result.build_id, result.attempt, result)

    async def _move_alias(self, move: MoveAlias, registered: VersionRecord | None) -> AliasMove:
        version = move.version
        if version is None:
            if registered is None:
                raise Stalled(INTERNAL_ERROR, f"alias {move.alias} was to follow a version that the plan does not register")
            version = registered.version
        return await self._blocking.run(
            self._registry.move_alias, move.model, move.alias, version, by=move.by, reason=move.reason
        )
