"""A file-like reader over the body of an S3 answer that says in the port's words when the connection is lost."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from slipway.storage.s3_errors import Failure, mapped

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from botocore.response import StreamingBody


class BodyReader(io.RawIOBase):
    """Reads each byte once. Raises Unavailable when the body ends too early or the connection breaks."""

    def __init__(self, body: StreamingBody, failure: Failure) -> None:
        self._body = body
        self._failure = failure

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, the rest without one; b'' at the end."""
        with mapped(self._failure):
            return self._body.read(None if size is None or size < 0 else size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fills `buffer` as far as there is something; 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Gives the connection back, or drops it when something is left unread."""
        if not self.closed:
            self._body.close()
        super().close()
