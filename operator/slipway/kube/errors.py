"""From an answer of the API server to the port's errors. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from slipway.kube.port import Conflict, KubeError, Rejected, Unavailable

# The server answers 500 to an apply of fields that its schema does not have. Sending it again does not help.
_SCHEMA_WORDS = ("field not declared in schema", "failed to create typed patch object", "failed to create typed live object")


def error_of(call: str, code: int, body: bytes, headers: Mapping[str, str]) -> KubeError:
    """The error that an answer stands for. `call` names the verb and the object; the server's own words follow it."""
    status = _status(body)
    words = str(status.get("message") or body[:300].decode(errors="replace") or "no message").strip()
    message = f"{call}: {words}"
    if code == 409:
        return Conflict(message)
    if code == 429 or (code >= 500 and not any(known in words for known in _SCHEMA_WORDS)):
        return Unavailable(f"{message} ({code})", retry_after=_retry_after(status, headers))
    return Rejected(message, code=code, namespace_gone=_namespace_gone(status))


def is_absent_object(body: bytes) -> bool:
    """Whether a 404 means that there is no such object, rather than no such kind or namespace."""
    details = _details(_status(body))
    return bool(details.get("name")) and details.get("kind") != "namespaces"


def _status(body: bytes) -> dict[str, Any]:
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _details(status: Mapping[str, Any]) -> Mapping[str, Any]:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _namespace_gone(status: Mapping[str, Any]) -> bool:
    details = _details(status)
    causes = details.get("causes") or ()
    if any(isinstance(cause, dict) and cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return True
    return status.get("reason") == "NotFound" and details.get("kind") == "namespaces"


def _retry_after(status: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    """Seconds that the server wants to be left alone."""
    for value in (headers.get("retry-after"), _details(status).get("retryAfterSeconds")):
        try:
            seconds = float(value) if value is not None else 0.0
        except (TypeError, ValueError):
            continue
        if 0 < seconds < 3600:
            return seconds
    return None
