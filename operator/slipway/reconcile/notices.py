"""Facts of a resource's status that somebody may want to be told of, as data. Pure; how they are told is the business of
`slipway.reconcile.webhook`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from slipway.kube.port import Object


@dataclass(frozen=True)
class Notice:
    """One fact. `about` tells it from others of the same `what` and resource: a fact that is seen again, by this operator or
    by the next one, is the same notice. `at` is when it came to be, as far as status says."""

    what: str
    """Last part of the event's type, as ``promoted``."""
    about: str
    at: datetime
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def id(self, resource: Object) -> str:
        """The same for the same fact of the same resource, whoever tells it and however often."""
        meta = resource["metadata"]
        return hashlib.sha256("\n".join((meta["uid"], self.what, self.about)).encode()).hexdigest()[:32]


@runtime_checkable
class TellsFacts(Protocol):
    """A controller whose resources record facts that others are told of."""

    def notices(self, resource: Object) -> tuple[Notice, ...]:
        """What the status of `resource` says now, oldest first. Raises nothing for a status that cannot be read."""
