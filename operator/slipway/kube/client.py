"""The port to the API server over HTTP.

lightkube finds the server and authenticates (service account with its rotating token, kubeconfig, certificates,
plugins); requests are plain JSON on its HTTP client, because objects here are dicts and the port needs calls that
typed clients lack: deletion with a uid, status by server-side apply, the end of a log. See
docs/adr/0006-kube-client.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from slipway.kube import config as kube_config
from slipway.kube.errors import error_of, is_absent_object
from slipway.kube.port import Conflict, Object, Propagation, Rejected, Resource, Unavailable
from slipway.kube.resources import BY_KIND, POD

PAGE = 500
CONNECT_TIMEOUT = 5.0
DEFAULT_TIMEOUT = 10.0
LIST_TIMEOUT = 30.0
APPLY = "application/apply-patch+yaml"
CONFIRM_MANAGER = "slipway-confirm"
AVERAGE_LINE = 50
EXPIRED = 410

OnRequest = Callable[[str, str, int | None, float], None]
"""Told of each request: method, verb, status code (None: no answer), seconds."""
Objects = list[Object]


def _ignore(_method: str, _verb: str, _code: int | None, _seconds: float) -> None:
    return None


class KubeClient:
    """An implementation of `slipway.kube.port.Kube`. One per event loop; close it."""

    def __init__(self, http: httpx2.AsyncClient, *, namespace: str = "default", on_request: OnRequest = _ignore) -> None:
        self._http = http
        self._on_request = on_request
        self.namespace = namespace
        """The namespace of the context, or of the pod."""

    @classmethod
    def connect(
        cls,
        *,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        on_request: OnRequest = _ignore,
    ) -> Self:
        """A client for the cluster that `slipway.kube.config.load` finds; makes no request. `timeout` in seconds for
        one request but a list. Raises NoClusterError."""
        return cls.of(kube_config.load(kubeconfig, context), timeout=timeout, on_request=on_request)

    @classmethod
    def of(cls, config: SingleConfig, *, timeout: float = DEFAULT_TIMEOUT, on_request: OnRequest = _ignore) -> Self:
        """A client for a configuration that was loaded. Raises NoClusterError when it cannot be used."""
        limits = httpx2.Timeout(timeout, connect=CONNECT_TIMEOUT)
        try:
            http = AsyncClient(config, ConnectionParams(timeout=limits))
        except (ConfigError, OSError, ValueError) as error:
            raise kube_config.NoClusterError(f"the cluster's credentials cannot be used: {error}") from error
        return cls(http, namespace=config.namespace, on_request=on_request)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """As the port says."""
        call = f"get {resource.kind} {namespace}/{name}"
        response = await self._send(call, "get", "GET", _path(resource, namespace, name))
        if response.status_code == 404 and is_absent_object(response.content):
            return None
        return _object(call, response)

    async def list(self, resource: Resource, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """As the port says. A list that changes too fast to be read in pages is begun anew, three times."""
        selector = ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))
        for _ in range(3):
            found = await self._list_once(resource, namespace, selector)
            if found is not None:
                return found
        raise Unavailable(f"list {resource.kind}: its pages expired three times")

    async def _list_once(self, resource: Resource, namespace: str | None, selector: str) -> Objects | None:
        call = f"list {resource.kind} in {namespace or 'all namespaces'}"
        params = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        found: Objects = []
        while True:
            path = _path(resource, namespace)
            response = await self._send(call, "list", "GET", path, params=params, timeout=LIST_TIMEOUT)
            if response.status_code == EXPIRED and "continue" in params:
                return None
            page = _object(call, response)
            # items of the server's own kinds come without their kind
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            found += [{**kind, **item} for item in page.get("items") or ()]
            more = page.get("metadata", {}).get("continue")
            if not more:
                return found
            params["continue"] = more

    async def apply(self, manifest: Object, *, field_manager: str) -> Object:
        """As the port says. Fields that the server does not know are refused, not dropped."""
        return await self._apply(manifest, field_manager, "")

    async def apply_status(self, manifest: Object, *, field_manager: str) -> Object:
        """As the port says."""
        return await self._apply(manifest, field_manager, "status")

    async def _apply(self, manifest: Object, field_manager: str, subresource: str) -> Object:
        call, path = _target("apply", manifest, subresource)
        params = {"fieldManager": field_manager, "force": "true", "fieldValidation": "Strict"}
        return _object(call, await self._send(call, "apply", "PATCH", path, params=params, body=manifest, media=APPLY))

    async def confirm(self, resource: Object) -> None:
        """As the port says: an apply of nothing to the status, bound to uid and version, as a dry run."""
        call, path = _target("confirm", resource, "status")
        metadata = {key: resource["metadata"].get(key) for key in ("name", "namespace", "uid", "resourceVersion")}
        body = {"apiVersion": resource["apiVersion"], "kind": resource["kind"], "metadata": metadata}
        params = {"fieldManager": CONFIRM_MANAGER, "force": "true", "dryRun": "All"}
        response = await self._send(call, "confirm", "PATCH", path, params=params, body=body, media=APPLY)
        if response.status_code == 404 and is_absent_object(response.content):
            raise Conflict(f"{call}: it is gone")
        _object(call, response)

    async def confirm_gone(self, resource: Resource, namespace: str, name: str) -> None:
        """As the port says: a read without a resourceVersion is answered by the majority of etcd."""
        if await self.get(resource, namespace, name) is not None:
            raise Conflict(f"{resource.kind} {namespace}/{name} is there")

    async def create(self, manifest: Object) -> Object:
        """As the port says."""
        call, path = _target("create", manifest)
        collection = path.rpartition("/")[0]
        return _object(call, await self._send(call, "create", "POST", collection, body=manifest))

    async def replace(self, manifest: Object) -> Object:
        """As the port says."""
        call, path = _target("replace", manifest)
        return _object(call, await self._send(call, "update", "PUT", path, body=manifest))

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        """As the port says."""
        call = f"delete {resource.kind} {namespace}/{name}"
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            **({"preconditions": {"uid": uid}} if uid else {}),
        }
        response = await self._send(call, "delete", "DELETE", _path(resource, namespace, name), body=options)
        if response.status_code == 404 and is_absent_object(response.content):
            return
        try:
            _object(call, response)
        except Conflict:
            if uid is None:
                raise

    async def pod_log(self, namespace: str, pod: str, container: str, *, tail_bytes: int, previous: bool = False) -> bytes | None:
        """As the port says. Memory stays within twice `tail_bytes`, however long the lines are."""
        call = f"log Pod {namespace}/{pod} {container}"
        params = {
            "container": container,
            "tailLines": str(max(1000, tail_bytes // AVERAGE_LINE)),
            **({"previous": "true"} if previous else {}),
        }
        request = self._http.build_request("GET", f"{_path(POD, namespace, pod)}/log", params=params)
        started, code = time.perf_counter(), None
        try:
            response = await self._http.send(request, stream=True)
            try:
                code = response.status_code
                if code != 200:
                    await response.aread()
                    if code in (204, 400, 404):
                        return None  # on no node yet, not started, or gone
                    raise error_of(call, code, response.content, response.headers)
                tail = bytearray()
                async for chunk in response.aiter_bytes():
                    tail += chunk
                    if len(tail) > 2 * tail_bytes:
                        del tail[:-tail_bytes]
                return bytes(tail[-tail_bytes:])
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise Unavailable(f"{call}: {_words(error)}") from error
        finally:
            self._on_request("GET", "log", code, time.perf_counter() - started)

    async def _send(
        self,
        call: str,
        verb: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        media: str = "application/json",
        timeout: float | None = None,  # noqa: ASYNC109  the HTTP client's own, in seconds
    ) -> httpx2.Response:
        request = self._http.build_request(
            method,
            path,
            params=params,
            content=None if body is None else json.dumps(body, separators=(",", ":")).encode(),
            headers={"Accept": "application/json", **({} if body is None else {"Content-Type": media})},
        )
        if timeout is not None:
            request.extensions["timeout"] = httpx2.Timeout(timeout, connect=CONNECT_TIMEOUT).as_dict()
        started, code = time.perf_counter(), None
        try:
            response = await self._http.send(request)
            code = response.status_code
            return response
        except httpx2.HTTPError as error:
            raise Unavailable(f"{call}: {_words(error)}") from error
        except ConfigError as error:
            raise Unavailable(f"{call}: cannot log in: {error}") from error
        finally:
            self._on_request(method, verb, code, time.perf_counter() - started)


def _words(error: httpx2.HTTPError) -> str:
    """Same words for the same trouble, so that a status that quotes them does not change with each try."""
    if isinstance(error, httpx2.TimeoutException):
        return "the API server did not answer in time"
    return f"the API server cannot be reached ({type(error).__name__})"


def _object(call: str, response: httpx2.Response) -> Object:
    if response.status_code >= 300:
        raise error_of(call, response.status_code, response.content, response.headers)
    try:
        found = json.loads(response.content)
    except ValueError as error:
        raise Unavailable(f"{call}: the answer is not JSON") from error
    if not isinstance(found, dict):
        raise Unavailable(f"{call}: the answer is not an object")
    return found


def _path(resource: Resource, namespace: str | None, name: str = "") -> str:
    root = f"/apis/{resource.group}" if resource.group else "/api"
    place = f"/namespaces/{namespace}" if namespace and resource.namespaced else ""
    return f"{root}/{resource.version}{place}/{resource.plural}{f'/{name}' if name else ''}"


def _target(verb: str, manifest: Object, subresource: str = "") -> tuple[str, str]:
    """The call in words, and the path of the object that a manifest describes."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    resource = BY_KIND.get(kind)
    if resource is None:
        raise Rejected(f"{verb} {kind} {namespace}/{name}: not a kind that Slipway works with", code=400)
    if resource.namespaced and not namespace:
        raise Rejected(f"{verb} {kind} {name}: metadata.namespace is missing", code=400)
    what = f"{verb} {f'{subresource} of ' if subresource else ''}{kind} {namespace}/{name}"
    return what, _path(resource, namespace, name) + (f"/{subresource}" if subresource else "")
