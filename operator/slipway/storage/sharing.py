"""How a library that reads object storage by itself (Delta Lake's) reaches what a store reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipway.storage.files import FileStore
from slipway.storage.keys import check_key
from slipway.storage.port import InvalidKey, ObjectStore
from slipway.storage.s3 import S3Store


@dataclass(frozen=True)
class Location:
    """A folder in a store: its URI, and the options of the Rust crate `object_store`. The options hold credentials."""

    uri: str
    options: dict[str, str] = field(default_factory=dict, repr=False)


def location(store: ObjectStore, key: str) -> Location:
    """Where `key` of `store` lies. Writers are told apart by conditional puts, as everywhere in Slipway: no lock service
    is needed. Raises InvalidKey for a store that no other library can reach, Denied without credentials."""
    check_key(key)
    if isinstance(store, FileStore):
        return Location(str((store.root / key).absolute()))
    if isinstance(store, S3Store):
        access = store.connection.access()
        options = {
            "aws_access_key_id": access.key_id,
            "aws_secret_access_key": access.secret,
            "aws_region": access.region,
            "aws_endpoint": access.endpoint,
            "aws_virtual_hosted_style_request": "false" if access.path_style else "true",
            "aws_conditional_put": "etag",
            "timeout": f"{store.connection.options.read_timeout:g}s",
        }
        if access.token:
            options["aws_session_token"] = access.token
        if access.endpoint.startswith("http://"):
            options["aws_allow_http"] = "true"
        return Location(f"s3://{store.bucket}/{store.prefix}{key}", options)
    raise InvalidKey(f"{store.uri}: tables need a bucket or a folder (s3:// or file://)")
