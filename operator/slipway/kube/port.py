"""The port to the API server: the calls that the operator makes, and the errors it tells apart.

Objects are plain JSON-shaped dicts, as the API server sends them. Implementations: `slipway.kube.client.KubeClient`
(the real one) and `tests.fakes.api_server.FakeApiServer`; the same contract tests run over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Object = dict[str, Any]


class KubeError(Exception):
    """Base of the port's errors. The message names the object and the verb."""


class Conflict(KubeError):
    """409 on a write: somebody else changed or made the object. Read again at once."""


class Rejected(KubeError):
    """The API server refused what was sent and will again (400, 403, 404 of the kind, 422): a person is needed.

    `code` is the HTTP status. `namespace_gone`: the namespace is going away or away, so that nothing can be made in
    it."""

    def __init__(self, message: str, *, code: int = 422, namespace_gone: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.namespace_gone = namespace_gone


class Unavailable(KubeError):
    """429, 5xx, a time-out or a broken connection: the outcome is not known. Try again later."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Resource:
    """A kind of objects. `group` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


Propagation = Literal["Background", "Foreground", "Orphan"]


class Kube(Protocol):
    """All calls have a time-out and count into the client metrics."""

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, or None when there is none."""

    async def list(self, resource: Resource, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a namespace (None: of all namespaces) that carry `labels`; paged reads underneath."""

    async def apply(self, manifest: Object, *, field_manager: str) -> Object:
        """Server-side apply with force. `manifest` holds apiVersion, kind, metadata.name and every field we care
        for."""

    async def apply_status(self, manifest: Object, *, field_manager: str) -> Object:
        """Server-side apply of ``status`` alone, with force."""

    async def confirm(self, resource: Object) -> None:
        """Raises Conflict unless `resource` (as it was read) is still the newest version, as the server sees it now and
        no cache does. Changes nothing. For decisions that cannot be taken back."""

    async def confirm_gone(self, resource: Resource, namespace: str, name: str) -> None:
        """Raises Conflict when there is an object of that name, as the server sees it now and no cache does."""

    async def create(self, manifest: Object) -> Object:
        """POST. Raises Conflict when the name is taken."""

    async def replace(self, manifest: Object) -> Object:
        """PUT with the manifest's resourceVersion. Raises Conflict when it is no longer the newest."""

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        """An absent object is no error; with `uid`, an object of another uid is left alone."""

    async def pod_log(self, namespace: str, pod: str, container: str, *, tail_bytes: int, previous: bool = False) -> bytes | None:
        """The end of a container's log, at most `tail_bytes`; None when it cannot be had any more."""
