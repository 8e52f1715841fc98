"""Runs of version records in one object each, so that a page of a long history takes a few requests.

Pack number k of a model holds its versions ``k * PACK + 1`` to ``(k + 1) * PACK`` as they are stored, one a line, compressed
by gzip. Records never change, so neither does a pack; whoever finds none reads the records themselves.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress

from slipway.registry.names import ModelName
from slipway.storage.parallel import in_parallel
from slipway.storage.port import NotFound, ObjectStore

PACK = 64
WORTH = 8
"""Records from one pack from which reading the pack is cheaper than reading them one by one."""


def pack_key(model: ModelName, number: int) -> str:
    """``index/packs/<namespace>/<model>/<%012d of its first version>.jsonl.gz``."""
    return f"index/packs/{model}/{number * PACK + 1:012d}.jsonl.gz"


def pack_of(version: int) -> int:
    """Number of the pack that a version belongs to."""
    return (version - 1) // PACK


def write_pack(store: ObjectStore, model: ModelName, number: int, records: Sequence[bytes]) -> None:
    """Stores the pack of `records`, all of its versions in ascending order."""
    if len(records) != PACK:
        raise ValueError(f"a pack holds {PACK} records, not {len(records)}")
    body = gzip.compress(b"\n".join(records), 6, mtime=0)
    store.put(pack_key(model, number), body, content_type="application/gzip")


def read_packed(store: ObjectStore, model: ModelName, versions: Iterable[int]) -> dict[int, bytes]:
    """Those of `versions` that are in packs, by version. A pack that is broken is as one that is not there."""
    wanted: dict[int, list[int]] = {}
    for version in versions:
        wanted.setdefault(pack_of(version), []).append(version)
    worth = [number for number, members in wanted.items() if len(members) >= WORTH]
    found: dict[int, bytes] = {}
    for number, records in zip(worth, in_parallel(lambda k: _read(store, model, k), worth, 8), strict=True):
        if records is not None:
            found.update({version: records[version - number * PACK - 1] for version in wanted[number]})
    return found


def _read(store: ObjectStore, model: ModelName, number: int) -> list[bytes] | None:
    with suppress(NotFound, OSError, EOFError, zlib.error):
        records = gzip.decompress(store.get(pack_key(model, number)).data).split(b"\n")
        if len(records) == PACK:
            return records
    return None
