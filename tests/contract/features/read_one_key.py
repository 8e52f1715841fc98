"""Ten million rows of one key: ingested as a stream, and joined with bounded memory. Prints what it took, and whether it is right."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from slipway.features import FeatureStore

ROWS, PIECE, ASKED = 10_000_000, 100_000, 20_000
START = 1_767_225_600_000_000
STEP = 1000
TIME = pa.timestamp("us", "UTC")


def pieces() -> Iterator[pa.RecordBatch]:
    for first in range(0, ROWS, PIECE):
        number = np.arange(first, first + PIECE)
        columns = [pa.array(np.ones(PIECE, "int64")), pa.array(START + number * STEP, TIME), pa.array(number)]
        yield pa.record_batch(columns, names=["user", "event_time", "number"])


store = FeatureStore.open(sys.argv[1])
store.apply({"name": "visits", "entities": [{"name": "user"}], "features": [{"name": "number", "type": "int64"}]})
written = store.ingest("visits", pa.RecordBatchReader.from_batches(next(pieces()).schema, pieces()))
at = np.random.default_rng(1).integers(-1000 * STEP, ROWS * STEP, ASKED)
asked = pa.table({"user": np.ones(ASKED, "int64"), "event_time": pa.array(START + at, TIME)})
with store.training_set(asked, ["visits"], memory_bytes=300 << 20) as made:
    found = made.to_arrow()["number"].to_pylist()
right = [None if moment < 0 else int(moment) // STEP for moment in at]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
print(json.dumps({"written": written.rows, "right": found == right, "peak_mib": peak}))
