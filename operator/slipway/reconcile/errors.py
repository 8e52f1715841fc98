"""Every error that can leave a step, as one of the three that the driver knows: Stalled, Transient, Conflict."""

from __future__ import annotations

from slipway.kube import port as kube
from slipway.reconcile.contract import Conflict, Stalled, Transient
from slipway.registry.errors import CorruptRecord, NewerSchema
from slipway.storage import port as storage

API_UNAVAILABLE = "ApiUnavailable"
STORE_UNAVAILABLE = "StoreUnavailable"
STORE_DENIED = "StoreDenied"
STORE_UNSUITABLE = "StoreUnsuitable"
RECORD_UNREADABLE = "RecordUnreadable"
REJECTED = "Rejected"
PODS_REFUSED = "PodsRefused"
NAME_TAKEN = "NameTaken"
INTERNAL_ERROR = "InternalError"


class NamespaceGone(Exception):
    """The namespace is being removed, so that nothing can or need be done in it."""


class LeaseLost(Exception):
    """Another instance may be the leader by now: stop writing, at once."""


def classify(error: Exception) -> Stalled | Transient | Conflict | NamespaceGone | None:
    """The error as the driver handles it; None for one that nobody foresaw (a bug), and for LeaseLost."""
    match error:
        case Stalled() | Transient() | Conflict() | NamespaceGone():
            return error
        case kube.Conflict() | storage.OutcomeUnknown() | storage.Precondition():
            return Conflict(str(error))
        case kube.Unavailable():
            return Transient(API_UNAVAILABLE, str(error))
        case kube.Rejected():
            return NamespaceGone(str(error)) if error.namespace_gone else Stalled(REJECTED, str(error))
        case CorruptRecord() | NewerSchema():
            return Transient(RECORD_UNREADABLE, str(error))  # another version, an upgrade or a repair may come at any time
        case storage.Denied():
            return Stalled(STORE_DENIED, str(error))
        case storage.StorageError():
            return Transient(STORE_UNAVAILABLE, str(error))
        case _:
            return None
