"""Large files to S3 in parts: several at once, in constant memory, going on where an earlier try was broken off.

What an earlier try has left is asked of the store itself, so that any process on any machine can go on. A part that is there
is kept when its ETag is the MD5 of the same bytes here; on stores with other ETags it is sent again. An upload that failed
is left for the next try; the garbage collector ends those that nobody came back for.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.storage.port import Check, Progress, StorageError, Unavailable, unchecked

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

MAX_PARTS = 9_500
"""S3 takes 10,000."""
MIB = 1 << 20


@dataclass(frozen=True)
class Part:
    """Bytes `offset` to `offset + size` of the file. Numbers count from 1."""

    number: int
    offset: int
    size: int


def parts_of(size: int, part_size: int) -> list[Part]:
    """A file of `size` bytes in equal parts, but for the last; larger ones than `part_size` when there would be too many."""
    part_size = max(part_size, -(-size // MAX_PARTS // MIB) * MIB, -(-size // MAX_PARTS))
    return [Part(n + 1, at, min(part_size, size - at)) for n, at in enumerate(range(0, size, part_size))]


@dataclass(frozen=True)
class Multipart:
    """One upload of `path` to `bucket`/`key`. `errors` maps the client's errors to those of the port."""

    client: S3Client
    bucket: str
    key: str
    path: Path
    content_type: str
    errors: Callable[[], AbstractContextManager[None]]
    parallel: int
    progress: Progress | None

    def run(self, part_size: int, check: Check = unchecked) -> None:
        """Raises the port's errors; what is uploaded by then stays for the next try. What `check` raises, when all is sent and
        before it becomes an object, throws the upload away."""
        parts = parts_of(self.path.stat().st_size, part_size)
        upload, there = self._open_upload(parts)
        done = self._send(upload, [part for part in parts if part.number not in there])
        etags = there | done
        try:
            check()
        except Exception:
            with suppress(StorageError), self.errors():
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=upload)
            raise
        listed: list[CompletedPartTypeDef] = [{"PartNumber": part.number, "ETag": etags[part.number]} for part in parts]
        with self.errors():
            self.client.complete_multipart_upload(
                Bucket=self.bucket, Key=self.key, UploadId=upload, MultipartUpload={"Parts": listed}
            )

    def _open_upload(self, parts: list[Part]) -> tuple[str, dict[int, str]]:
        """An upload's id, and the ETags of its parts that need not be sent again."""
        with suppress(StorageError):  # without the right to look for one, or on a store that cannot: from the beginning
            for upload in self._unfinished():
                there = self._kept(upload, parts)
                if there:
                    return upload, there
        with self.errors():
            answer = self.client.create_multipart_upload(Bucket=self.bucket, Key=self.key, ContentType=self.content_type)
        return answer["UploadId"], {}

    def _unfinished(self) -> list[str]:
        with self.errors():
            found = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=self.key, MaxUploads=20)
        return [upload["UploadId"] for upload in found.get("Uploads", ()) if upload["Key"] == self.key]

    def _kept(self, upload: str, parts: list[Part]) -> dict[int, str]:
        wanted = {part.number: part for part in parts}
        kept: dict[int, str] = {}
        for number, size, etag in self._listed(upload):
            part = wanted.get(number)
            if part is None or part.size != size or etag.strip('"') != self._md5(part):
                continue
            kept[number] = etag
            if self.progress is not None:
                self.progress(size)
        return kept

    def _listed(self, upload: str) -> Iterator[tuple[int, int, str]]:
        marker: dict[str, Any] = {}
        while True:
            with self.errors():
                answer = self.client.list_parts(Bucket=self.bucket, Key=self.key, UploadId=upload, **marker)
            for part in answer.get("Parts", ()):
                yield part["PartNumber"], part["Size"], part["ETag"]
            if not answer.get("IsTruncated"):
                return
            marker = {"PartNumberMarker": answer["NextPartNumberMarker"]}

    def _md5(self, part: Part) -> str:
        return hashlib.md5(self._read(part), usedforsecurity=False).hexdigest()

    def _read(self, part: Part) -> bytes:
        with self.path.open("rb", buffering=0) as reader:
            reader.seek(part.offset)
            data = bytearray(part.size)
            view, at = memoryview(data), 0
            while at < part.size:
                got = reader.readinto(view[at:])
                if not got:
                    raise Unavailable(f"{self.path} became shorter while it was being stored: stop its writer and try again")
                at += got
        return data  # type: ignore[return-value]  # any buffer will do, and a copy would double the memory

    def _send(self, upload: str, parts: list[Part]) -> dict[int, str]:
        stop, lock = threading.Event(), threading.Lock()
        etags: dict[int, str] = {}

        def send(part: Part) -> None:
            if stop.is_set():
                return
            with self.errors():
                answer = self.client.upload_part(
                    Bucket=self.bucket, Key=self.key, UploadId=upload, PartNumber=part.number, Body=self._read(part)
                )
            with lock:
                etags[part.number] = answer["ETag"]
                if self.progress is not None:
                    self.progress(part.size)

        with ThreadPoolExecutor(self.parallel, thread_name_prefix="upload") as pool:
            jobs: list[Future[None]] = [pool.submit(send, part) for part in parts]
            try:
                wait(jobs, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()
        for job in jobs:
            job.result()
        return etags


def end_unfinished(
    client: S3Client, bucket: str, prefix: str, before: datetime, errors: Callable[[], AbstractContextManager[None]]
) -> int:
    """Ends uploads under `prefix` that were begun before a time; gives their number."""
    ended = 0
    more: dict[str, Any] = {}
    while True:
        with errors():
            answer = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **more)
            for upload in answer.get("Uploads", ()):
                if upload["Initiated"] < before:
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                    ended += 1
        if not answer.get("IsTruncated"):
            return ended
        more = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}
