"""Does a live object already say what a manifest says? Pure.

The API server adds defaults, drops empty values and rewrites quantities, and others add fields and list elements of
their own; none of that is a difference. A field that we send and that reads differently is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from slipway.kube.port import Object
from slipway.registry.records import digest_of

APPLIED_ANNOTATION = "slipway.dev/applied"
"""On a child: the digest of the manifest that was applied last. It shows fields that are sent no more, which a
comparison of values cannot."""

# Lists whose elements are told apart by keys, as the API server merges them: parent field to the keys of an element.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port", "protocol"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
}
_KEY_DEFAULTS = {"protocol": "TCP"}
_QUANTITY_FIELDS = frozenset({"requests", "limits", "capacity", "hard"})
_QUANTITY_LEAVES = frozenset({"sizeLimit", "storage"})
_QUANTITY = re.compile(r"^([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)(m|u|n|[kMGTPE]i?|Ki|[eE][+-]?[0-9]+)?$")
_FACTORS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_PLAIN = frozenset({str, int, float, bool})
_IDENTITY = frozenset({"name", "namespace", "uid", "resourceVersion"})


def stamped(manifest: Object) -> Object:
    """`manifest` with its own digest as an annotation."""
    metadata = manifest["metadata"]
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if k != APPLIED_ANNOTATION}
    plain = {**manifest, "metadata": {**metadata, "annotations": annotations}}
    digest = digest_of(plain).removeprefix("sha256:")[:32]
    return {**plain, "metadata": {**plain["metadata"], "annotations": {**annotations, APPLIED_ANNOTATION: digest}}}


def holds(live: Object, manifest: Object) -> bool:
    """Whether applying the `stamped` manifest would change nothing in `live`."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _IDENTITY}
    body = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata")}
    return _contains(live.get("metadata", {}), metadata, "metadata", False) and _contains(live, body, "", False)


def _contains(live: Any, wanted: Any, field: str, quantities: bool) -> bool:
    kind = type(wanted)
    if kind is type(live) and kind in _PLAIN and live == wanted:  # most fields, of which a pod has hundreds
        return True
    if kind is dict or isinstance(wanted, Mapping):
        if type(live) is not dict and not isinstance(live, Mapping):
            return live is None and _is_zero(wanted)
        inside = quantities or field in _QUANTITY_FIELDS
        for key, value in wanted.items():  # noqa: SIM110  # a generator doubles the time
            if not _contains(live.get(key), value, key, inside):
                return False
        return True
    if isinstance(wanted, list | tuple):
        if not isinstance(live, list | tuple):
            return live is None and not wanted
        return _contains_list(live, wanted, field, quantities)
    if live is None:
        return _is_zero(wanted)
    if kind is type(live) and live == wanted:
        return True
    if isinstance(live, bool) or isinstance(wanted, bool):
        return False
    if isinstance(live, int | float) and isinstance(wanted, int | float):
        return live == wanted
    return (quantities or field in _QUANTITY_LEAVES) and _same_quantity(live, wanted)


def _contains_list(live: Sequence[Any], wanted: Sequence[Any], field: str, quantities: bool) -> bool:
    keys = _KEYS.get(field)
    if keys and all(type(item) is dict or isinstance(item, Mapping) for item in (*live, *wanted)):
        by_key = {_key(item, keys): item for item in live}
        if len(by_key) == len(live):  # else entries share a key, which tells none of them from the other
            return all(
                (found := by_key.get(_key(item, keys))) is not None and _contains(found, item, "", quantities) for item in wanted
            )
    if field == "finalizers":
        return set(wanted) <= set(live)
    return len(live) == len(wanted) and all(
        _contains(have, want, "", quantities) for have, want in zip(live, wanted, strict=True)
    )


def _key(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, _KEY_DEFAULTS.get(key)) for key in keys)


def _is_zero(value: Any) -> bool:
    """Values that the API server leaves out of what it stores."""
    if isinstance(value, Mapping):
        return all(_is_zero(item) for item in value.values())
    return value is None or value == "" or value is False or value == 0 or value == []


def _same_quantity(one: Any, other: Any) -> bool:
    first, second = _quantity(one), _quantity(other)
    return first is not None and first == second


def _quantity(value: Any) -> Decimal | None:
    """Kubernetes' resource quantity as a number: ``100m``, ``1.5Gi``, ``2e3``."""
    match = _QUANTITY.match(str(value))
    if match is None:
        return None
    number, suffix = match.groups()
    if suffix and suffix not in _FACTORS:
        return Decimal(number + suffix)
    return Decimal(number) * _FACTORS.get(suffix or "", Decimal(1))
