"""A real SeaweedFS for tests of object storage: an administrator, a reader, one bucket."""

from __future__ import annotations

import json
import socket

from local.services import SeaweedFS
from slipway.storage import S3Options

ADMIN = ("slipway-admin", "slipway-admin-secret")
READER = ("slipway-reader", "slipway-reader-secret")
NO_LIST = ("slipway-no-list", "slipway-no-list-secret")
"""May read and write, and not list."""
BUCKET = "slipway-test"


class Weed(SeaweedFS):
    """SeaweedFS with fixed identities. A bucket that is missing is missing, as on AWS."""

    def __init__(self) -> None:
        super().__init__(buckets=(BUCKET,))
        identities = [_identity(ADMIN, ["Admin"]), _identity(READER, [f"Read:{BUCKET}", f"List:{BUCKET}"])]
        identities.append(_identity(NO_LIST, [f"Read:{BUCKET}", f"Write:{BUCKET}"]))
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))

    def options(self, **changes: object) -> S3Options:
        """How to reach it."""
        return S3Options(**{"endpoint_url": self.endpoint, "region": "us-east-1", "read_timeout": 20.0, **changes})  # type: ignore[arg-type]

    def _command(self) -> list[str]:
        return [*super()._command(), "-s3.autoCreateBucket=false"]


def credentials(pair: tuple[str, str]) -> dict[str, str]:
    """Environment variables that log in as `pair`, and that keep a developer's own configuration out."""
    return {
        "AWS_ACCESS_KEY_ID": pair[0],
        "AWS_SECRET_ACCESS_KEY": pair[1],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }


def unused_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _identity(pair: tuple[str, str], actions: list[str]) -> dict[str, object]:
    return {"name": pair[0], "credentials": [{"accessKey": pair[0], "secretKey": pair[1]}], "actions": actions}
