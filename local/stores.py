"""Command lines and configurations of the object storage and the image registry."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from local.errors import LocalError

REGION = "us-east-1"


@dataclass(frozen=True)
class WeedPorts:
    """The ports SeaweedFS listens on. Its worker finds the admin server's second port by adding 10000: that one is not free.

    Apart from S3's they differ from SeaweedFS's own defaults, because it names sockets in /tmp after them and would otherwise
    talk to another SeaweedFS of this machine, even across network namespaces.
    """

    s3: int = 8333
    s3_grpc: int = 18331
    master: int = 9331
    master_grpc: int = 19331
    volume: int = 9341
    volume_grpc: int = 19341
    filer: int = 8881
    filer_grpc: int = 18881
    admin: int = 23641

    @property
    def inner(self) -> tuple[int, ...]:
        """All but the S3 port: they ask for no credentials."""
        rest = (self.s3_grpc, self.master, self.master_grpc, self.volume, self.volume_grpc, self.filer, self.filer_grpc)
        return (*rest, self.admin, self.admin + 10000)

    @property
    def sockets(self) -> list[Path]:
        """The sockets it leaves in /tmp, a folder it cannot be talked out of."""
        named = {"s3": self.s3_grpc, "master": self.master_grpc, "volume": self.volume_grpc, "filer": self.filer_grpc}
        named["admin"] = self.admin + 10000
        return [Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock") for name, port in named.items()]


def check_buckets(names: Sequence[str]) -> None:
    """Raises ValueError for a name S3 does not allow: SeaweedFS would leave that bucket out and only log it."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
            raise ValueError(
                f"bucket {name!r}: 3 to 63 of lower-case letters, digits, dots and hyphens, letter or digit at both ends"
            )


def weed(program: str, address: str, ports: WeedPorts, folder: Path, buckets: Sequence[str]) -> list[str]:
    """Command line of SeaweedFS with all its data in `folder` and the identities of ``folder/s3.json``.

    Run it with ``TMPDIR`` set to a folder of its own, for its logs.
    """
    return [
        program, "mini", f"-dir={folder / 'data'}", f"-ip={address}", f"-ip.bind={address}",
        "-webdav=false", "-admin.ui=false", "-master.telemetry=false",
        f"-master.port={ports.master}", f"-master.port.grpc={ports.master_grpc}",
        f"-volume.port={ports.volume}", f"-volume.port.grpc={ports.volume_grpc}",
        f"-filer.port={ports.filer}", f"-filer.port.grpc={ports.filer_grpc}",
        f"-admin.port={ports.admin}", f"-admin.port.grpc={ports.admin + 10000}",
        f"-s3.port={ports.s3}", f"-s3.port.grpc={ports.s3_grpc}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}", f"-s3.localSocket={folder / 's3.sock'}", f"-filer.localSocket={folder / 'filer.sock'}",
        *([f"-bucket={','.join(buckets)}"] if buckets else []),
    ]  # fmt: skip


def weed_identities(access_key: str, secret_key: str) -> str:
    """SeaweedFS's S3 configuration with one administrator. That there is one makes it refuse anonymous requests."""
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    return json.dumps(
        {
            "identities": [
                {"name": "slipway", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
            ]
        }
    )


def registry_config(address: str, port: int, data: Path, *, secret: str, htpasswd: Path | None = None) -> str:
    """Configuration of the CNCF distribution registry: plain http, deletes allowed. `secret` signs the state of uploads."""
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": f"{address}:{port}", "secret": secret},
    }
    if htpasswd is not None:
        config["auth"] = {"htpasswd": {"realm": "slipway", "path": str(htpasswd)}}
    return yaml.safe_dump(config, sort_keys=False)


def htpasswd_line(user: str, password: str) -> str:
    """One line of an htpasswd file, hashed with bcrypt as the registry asks for.

    Uses the C library's ``crypt``; raises LocalError if it has no bcrypt.
    """
    name = ctypes.util.find_library("crypt") or "libcrypt.so.1"
    alphabet = "./" + string.ascii_letters + string.digits
    salt = "".join(secrets.choice(alphabet) for _ in range(21)) + secrets.choice(".Oeu")
    try:
        crypt = ctypes.CDLL(name).crypt
    except OSError as error:
        raise LocalError(f"no libcrypt for a bcrypt password: {error}") from error
    crypt.argtypes, crypt.restype = [ctypes.c_char_p, ctypes.c_char_p], ctypes.c_char_p
    hashed = crypt(password.encode(), f"$2b$05${salt}".encode())
    if not hashed or not hashed.startswith(b"$2b$"):
        raise LocalError("this libcrypt cannot hash with bcrypt, which the registry needs for passwords")
    return f"{user}:{hashed.decode()}\n"
