"""What each ingestion wrote, recorded beside the table: for those who cannot read Delta Lake (the operator, the web page).

One object for each version of the table that an ingestion made. Numbers count down in the keys, so that a list shows the
newest first, in one request however many there are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice

from slipway.features.records import Ingestion
from slipway.registry import documents
from slipway.registry.names import ModelName
from slipway.storage.parallel import in_parallel
from slipway.storage.port import NotFound, ObjectStore

log = logging.getLogger(__name__)
_TOP = 10**12 - 1


def prefix(name: ModelName) -> str:
    """Of the keys of a view's records."""
    return f"features/{name.namespace}/{name.model}/ingestions/"


def key(name: ModelName, table_version: int) -> str:
    """Of the record of one version of the table."""
    return f"{prefix(name)}{_TOP - table_version:012d}.json"


def record(store: ObjectStore, ingestion: Ingestion) -> None:
    """Keeps `ingestion`. Two writers never have the same version, so there is nothing to overwrite."""
    name = ModelName(ingestion.namespace, ingestion.view)
    store.put(key(name, ingestion.table_version), ingestion.to_json(), content_type="application/json")


def keep(store: ObjectStore, what: str, make: Callable[[], Ingestion]) -> None:
    """Records what `make` gives. Whatever goes wrong is a warning: the rows are there, and an error now would have them
    ingested again."""
    try:
        record(store, make())
    except Exception:
        log.warning("%s could not be recorded", what, exc_info=True)


def newest(store: ObjectStore, name: ModelName) -> Ingestion | None:
    """The record of the highest version; None when nothing was recorded. Two requests. Raises CorruptRecord, NewerSchema."""
    return next(iter(page(store, name, limit=1)), None)


def page(store: ObjectStore, name: ModelName, *, limit: int = 100) -> list[Ingestion]:
    """Records, newest first. Raises CorruptRecord, NewerSchema."""
    keys = list(islice(_keys(store, name, limit), limit))

    def read(each: str) -> Ingestion | None:
        try:
            return documents.load(Ingestion, store.get(each).data, f"{store.uri}/{each}")
        except NotFound:
            return None

    return [found for found in in_parallel(read, keys, 16) if found is not None]


def _keys(store: ObjectStore, name: ModelName, limit: int) -> Iterator[str]:
    for info in store.list(prefix(name), limit=limit):
        if info.key.endswith(".json"):
            yield info.key
