"""The port to online stores. Implementations: `slipway.features.online.embedded` (files in the registry's bucket, read from a copy on
this machine) and `slipway.features.online.redis` (Redis or Valkey). The same tests run over both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from slipway.features.errors import FeatureError
from slipway.features.online.state import OnlineState, Target

Rows = tuple[Sequence[bytes], Sequence[bytes]]
"""Keys and rows, as many of each, as `slipway.features.online.layout` makes them."""


class OnlineUnavailable(FeatureError):
    """The online store does not answer, or refuses. Try again later."""


class LostMaterialization(FeatureError):
    """Another materialisation of the same view was done meanwhile: read the state again and try again."""


class OnlineStore(Protocol):
    """Where newest rows are kept. All calls block, and raise OnlineUnavailable or the object store's errors."""

    @property
    def shown(self) -> str:
        """Where it is, for people; holds no secret."""

    def state(self, target: Target) -> OnlineState | None:
        """What is there; None: it was never materialised here."""

    def definitions(self, target: Target) -> list[str]:
        """The definitions of the view that are there, each as `Target.short`."""

    def write(
        self,
        target: Target,
        before: OnlineState | None,
        after: OnlineState,
        rows: Iterable[Rows],
        *,
        replace: bool,
        oldest: datetime | None,
    ) -> OnlineState:
        """Adds `rows`, then says `after`, and gives that as it is stored. A row takes the place of one that comes before it
        in the order, and of no other; so the same call may be made twice, or be cut off in the middle. With `replace` what was
        there is gone. Rows with an event time before `oldest` need not be kept. Raises LostMaterialization unless the state
        was `before`."""

    def reader(self, target: Target) -> Reader:
        """For reading rows of `target`; it need not be there yet."""


class Reader(Protocol):
    """Rows of one target. Thread-safe."""

    @property
    def state(self) -> OnlineState | None:
        """As of the last `refresh`."""

    def refresh(self) -> None:
        """Looks what there is now, and brings what is kept of it here up to date. Blocks; reads go on meanwhile."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The rows of `keys`, in their order; None where there is none. Blocks. Raises OnlineUnavailable."""

    async def aget(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The same on an event loop, which it does not hold up."""

    def close(self) -> None:
        """Lets connections and files go."""
