"""Reading large objects so that a lost connection costs no more than what was not yet read."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.storage.port import ObjectStore, Progress, Unavailable

CHUNK = 1 << 20
ATTEMPTS = 4
"""Times that a read goes on after a lost connection without any new byte before it gives up."""


def read_chunks(
    store: ObjectStore,
    key: str,
    *,
    offset: int = 0,
    if_match: str | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK,
) -> Iterator[bytes]:
    """The object's bytes from `offset` on in pieces of at most `chunk`, in constant memory. After a lost connection it goes on where it
    was: give `if_match`, or check a digest, so that the pieces are known to be of one object. Raises NotFound,
    Precondition (the object is not the one of `if_match`), Unavailable."""
    fruitless = 0
    while True:
        try:
            with store.open(key, offset=offset, if_match=if_match) as reader:
                while data := reader.read(chunk):
                    offset += len(data)
                    fruitless = 0
                    if progress is not None:
                        progress(len(data))
                    yield data
            return
        except Unavailable:
            fruitless += 1
            if fruitless >= ATTEMPTS:
                raise
