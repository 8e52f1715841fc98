"""What training and app build pods are asked, and what they report: one half of `slipway.registry.registry.Registry`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from slipway.registry import documents
from slipway.registry.names import check_digest
from slipway.registry.records import AttemptResult, Document
from slipway.registry.sequence import create
from slipway.storage.port import ObjectStore

D = TypeVar("D", bound=Document)


class Attempts:
    """The documents under ``attempts/``. Thread-safe; all calls block."""

    store: ObjectStore
    _pause: Callable[[float], None]

    def write_request(self, build_id: str, attempt: int, request: Document) -> None:
        """Leaves what an attempt's pod is to do; the same attempt may be written again."""
        key = f"{attempt_prefix(build_id, attempt)}request.json"
        self.store.put(key, request.to_json(), content_type="application/json")

    def read_request(self, build_id: str, attempt: int, kind: type[D]) -> D | None:
        """What an attempt's pod is to do, as a document of `kind`; None when nothing was left."""
        return documents.read(self.store, f"{attempt_prefix(build_id, attempt)}request.json", kind)

    def write_attempt(self, result: AttemptResult) -> AttemptResult:
        """Reports a training attempt. The first report stands; what is given back is the one that does."""
        return self.write_result(result.build_id, result.attempt, result)

    def read_attempt(self, build_id: str, attempt: int) -> AttemptResult | None:
        """What a training attempt reported; None while it has not."""
        return self.read_result(build_id, attempt, AttemptResult)

    def write_result(self, build_id: str, attempt: int, result: D) -> D:
        """`write_attempt` for any kind of document."""
        key = f"{attempt_prefix(build_id, attempt)}result.json"
        stored = create(self.store, key, result.to_json(), pause=self._pause)
        return documents.load(type(result), stored, f"{self.store.uri}/{key}")

    def read_result(self, build_id: str, attempt: int, kind: type[D]) -> D | None:
        """`read_attempt` for any kind of document."""
        return documents.read(self.store, f"{attempt_prefix(build_id, attempt)}result.json", kind)


def attempt_prefix(build_id: str, attempt: int) -> str:
    """``attempts/<build id>/<n>/``."""
    if attempt < 1:
        raise ValueError(f"attempt {attempt}: attempts count from 1")
    return f"attempts/{check_digest(build_id).removeprefix('sha256:')}/{attempt}/"
