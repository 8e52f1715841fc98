"""The end state of a run in a form that two runs can be compared in: without what differs from run to run by nature."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from slipway.kube.port import Object
from tests.fakes.api_server import FakeApiServer

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
STAMP = re.compile(r"\b\d{8}T\d{6}Z\b")
SERVER_FIELDS = frozenset({"resourceVersion", "creationTimestamp", "managedFields", "uid"})
GENERATIONS = frozenset({"generation", "observedGeneration"})
ATTESTED = re.compile(rb'"(predicateType|bomFormat)":')
BY_NATURE = frozenset({"writer", "timings", "draft"})
"""``draft`` is a digest over times among other things."""
CUSTOM = frozenset({"ModelBuild", "AppBuild", "ModelDeployment", "FeatureView"})


def objects(api: FakeApiServer, ignore: Iterable[str] = ("Event",)) -> dict[str, Any]:
    """All objects by ``kind/namespace/name``, uids and times replaced by what they stand for."""
    ignored = frozenset(ignore)
    uids = {o["metadata"]["uid"]: f"<uid of {_identity(o)}>" for o in api.all()}
    return {_identity(o): _object(o, uids) for o in api.all() if o["kind"] not in ignored}


def store(content: Mapping[str, bytes], ignore: Iterable[str] = ("index/",)) -> dict[str, Any]:
    """A store's objects by key: JSON documents without times and writers, other bytes as their digest."""
    prefixes = tuple(ignore)
    names = _timed(content)
    kept = ((key, data) for key, data in content.items() if not key.startswith(prefixes))
    return {STAMP.sub("<time>", names.get(key.rpartition("/")[2], key)): _document(data, names) for key, data in kept}


def difference(expected: Any, found: Any, path: str = "") -> str | None:
    """The first place where two values differ, in words; None when they are equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            place = f"{path}.{key}" if path else str(key)
            if key not in found:
                return f"{place} is missing (expected {_short(expected[key])})"
            if key not in expected:
                return f"{place} is there, but should not be: {_short(found[key])}"
            inner = difference(expected[key], found[key], place)
            if inner:
                return inner
        return None
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return next((d for n, (e, f) in pairs if (d := difference(e, f, f"{path}[{n}]"))), None)
    return None if expected == found else f"{path}: expected {_short(expected)}, found {_short(found)}"


def _identity(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{obj['kind']}/{metadata.get('namespace', '')}/{metadata['name']}"


def _object(obj: Object, uids: Mapping[str, str]) -> Any:
    drop = SERVER_FIELDS if obj["kind"] in CUSTOM else SERVER_FIELDS | GENERATIONS
    plain = _plain(obj, drop, uids)
    metadata = plain["metadata"]
    if "annotations" in metadata:
        # a digest over the owner's uid among other things
        metadata["annotations"].pop("slipway.dev/applied", None)
    for owner, reference in zip(metadata.get("ownerReferences", ()), obj["metadata"].get("ownerReferences", ()), strict=True):
        owner["uid"] = uids.get(reference["uid"], "<uid of nobody>")
    return plain


def _plain(value: Any, drop: frozenset[str], uids: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        if str(value.get("digest")) in uids:
            # a file that holds times: as long as these are written
            drop = drop | {"size"}
        return {key: _plain(item, drop, uids) for key, item in value.items() if key not in drop}
    if isinstance(value, list | tuple):
        return [_plain(item, drop, uids) for item in value]
    if isinstance(value, str):
        return "<time>" if TIME.match(value) else uids.get(value, value)
    return value


def _timed(content: Mapping[str, bytes]) -> dict[str, str]:
    """Names for blobs that hold times, and so have another digest in each run: by digest, with its prefix and without."""
    names = {}
    for key, data in content.items():
        if not key.startswith("blobs/") or not ATTESTED.search(data):
            continue
        document = json.loads(data)
        about = document.get("serialNumber") or document["predicate"]["runDetails"]["metadata"]["invocationId"]
        digest = key.rpartition("/")[2]
        names[digest] = names[f"sha256:{digest}"] = f"<attestation of {about}>"
    return names


def _document(data: bytes, names: Mapping[str, str]) -> Any:
    try:
        return _plain(json.loads(data), BY_NATURE, names)
    except ValueError:
        return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 300 else f"{text[:297]}…"
