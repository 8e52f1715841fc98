"""All that watches one model version: drift, payload log, feedback; made together, shown together, closed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import orjson

from slipway.serving.app import JSON, Get, Post, Route
from slipway.serving.errors import ExitCode, StartError
from slipway.serving.monitoring import feedback as told
from slipway.serving.monitoring.application import ApplicationWatch
from slipway.serving.monitoring.expose import families, feedback_families, sink_families
from slipway.serving.monitoring.feedback import Feedback
from slipway.serving.monitoring.monitor import Monitor
from slipway.serving.monitoring.observer import Observation
from slipway.serving.monitoring.payload import PayloadLog, table_by_name, table_of
from slipway.serving.monitoring.sink import Bounds, Sink
from slipway.serving.settings import Options
from slipway.serving.signature import Signature
from slipway.serving.tensors import Array
from slipway.training.reference import Reference


class Watch:
    """The observer of one model version."""

    def __init__(
        self,
        name: str,
        version: str,
        signature: Signature,
        reference: Reference | None,
        options: Options,
        *,
        predicts: bool = False,
    ) -> None:
        """`predicts`: application code does, instead of the model. Raises StartError for a payload log that cannot be kept."""
        self.name, self.version = name, version
        self.monitor = Monitor(signature, reference)
        named = _named(signature, reference)
        self.payload: PayloadLog | None = None
        kept: Sink | None = None
        if options.payload_log:
            store = _store(options.payload_log)
            bounds = Bounds(file_seconds=options.payload_seconds)
            where = f"{name}/{version}"
            table = table_by_name if predicts else table_of(named)
            self.payload = PayloadLog(Sink(f"payloads/{where}", table, store.put, bounds), options.payload_sample)
            kept = Sink(f"feedback/{where}", told.table, store.put, bounds)
        self.feedback = Feedback(signature, kept)
        self.application = ApplicationWatch(named, self.monitor, self.feedback, self.payload) if predicts else None
        """Watches instead, when application code predicts."""
        self._observers = [self.monitor.observe, self.feedback.observe]
        if self.payload is not None:
            self._observers.append(self.payload.observe)

    def observe(self, batch: Sequence[Observation]) -> None:
        """One executed batch."""
        for observe in self._observers:
            observe(batch)

    def observe_rows(self, requests: Sequence[str], inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """One executed batch of requests of one row each."""
        self.monitor.observe_rows(inputs, outputs)
        self.feedback.observe_rows(requests, outputs)
        if self.payload is not None:
            self.payload.observe_rows(requests, inputs, outputs)

    def families(self) -> Iterator[Any]:
        """Metric families (docs/metrics.md)."""
        yield from families(self.monitor, self.name, self.version)
        yield from feedback_families(self.feedback, self.name, self.version)
        if self.payload is not None and self.feedback.sink is not None:
            sinks = {"payload": self.payload.sink, "feedback": self.feedback.sink}
            yield from sink_families(sinks, self.name, self.version)

    def routes(self) -> dict[str, Route]:
        """``/v2/models/<model>/drift`` and ``…/feedback``."""

        def drift() -> tuple[int, str, bytes]:
            told = {"model": self.name, "version": self.version, **self.monitor.document()}
            if self.application is not None:
                told["notCompared"] = self.application.unlike
            return 200, JSON, orjson.dumps(told)

        base = f"/v2/models/{self.name}"
        shown = Get("drift", drift, self.name)
        return {
            f"{base}/drift": shown,
            f"{base}/versions/{self.version}/drift": shown,
            f"{base}/feedback": Post("feedback", self.feedback.answer, self.name),
        }

    def close(self) -> None:
        """Stores what is still there; takes some seconds at most."""
        for sink in (self.payload.sink if self.payload is not None else None, self.feedback.sink):
            if sink is not None:
                sink.close()


def _named(signature: Signature, reference: Reference | None) -> Signature:
    """`signature` with the names that training had for the values of a row, where the version does not say."""
    if signature.columns or reference is None or not signature.one_matrix:
        return signature
    return replace(signature, columns=tuple(feature.name for feature in reference.inputs))


def _store(uri: str) -> Any:
    if find_spec("arro3") is None:
        raise StartError("--payload-log needs arro3: install slipway[serving,monitoring]", ExitCode.USAGE)
    from slipway.storage import open_store
    from slipway.storage.port import InvalidKey

    try:
        return open_store(uri)
    except InvalidKey as error:
        raise StartError(f"--payload-log: {error}", ExitCode.USAGE) from error
