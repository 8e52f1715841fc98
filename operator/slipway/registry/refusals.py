"""Promotions that were refused, or that nobody approved in time: remembered beside the aliases they were for.

One object for each alias and version; the first decision stands. It moves no alias.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from slipway.registry import documents
from slipway.registry.metadata import Model, model_name
from slipway.registry.names import ModelName, check_alias, check_version
from slipway.registry.records import Refusal
from slipway.registry.sequence import create
from slipway.storage.parallel import in_parallel
from slipway.storage.port import ObjectStore


class Refusals:
    """The documents under ``models/<namespace>/<model>/refusals/``. Thread-safe; all calls block."""

    store: ObjectStore
    _pause: Callable[[float], None]
    _clock: Callable[[], datetime]
    _uuid: Callable[[], str]

    def refuse(self, model: Model, alias: str, version: int, *, by: str, reason: str = "", expired: bool = False) -> Refusal:
        """Remembers that `version` is not to be promoted to `alias`. What is given back is the decision that stands: that of
        who came first. Raises InvalidName."""
        name = model_name(model)
        made = Refusal(
            model=str(name),
            alias=check_alias(alias),
            version=check_version(version),
            at=self._clock(),
            by=by,
            reason=reason,
            expired=expired,
            writer=self._uuid(),
        )
        key = _key(name, alias, version)
        return documents.load(Refusal, create(self.store, key, made.to_json(), pause=self._pause), f"{self.store.uri}/{key}")

    def refusal(self, model: Model, alias: str, version: int) -> Refusal | None:
        """The decision against a version; None when there is none."""
        return documents.read(self.store, _key(model_name(model), alias, version), Refusal)

    def refused_aliases(self, model: Model) -> list[str]:
        """Aliases to which a promotion was refused, sorted."""
        name = model_name(model)
        return sorted(self.store.list_folders(f"models/{name.namespace}/{name.model}/refusals/"))

    def refusals(self, model: Model, alias: str) -> list[Refusal]:
        """All decisions against versions for `alias`, the highest version first."""
        keys = [info.key for info in self.store.list(_prefix(model_name(model), alias))]
        found = in_parallel(lambda key: documents.read(self.store, key, Refusal), list(reversed(keys)), 16)
        return [one for one in found if one is not None]


def _prefix(name: ModelName, alias: str) -> str:
    return f"models/{name.namespace}/{name.model}/refusals/{check_alias(alias, reserved=False)}/"


def _key(name: ModelName, alias: str, version: int) -> str:
    return f"{_prefix(name, alias)}{version:012d}.json"
