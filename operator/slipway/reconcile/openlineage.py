"""Tells an OpenLineage receiver (Marquez, DataHub …) of runs. It never holds up or fails a build: events wait in a short queue for
a thread of their own, and are dropped, with a word in the log, when the receiver is away for long."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from slipway import __version__
from slipway.reconcile.runs import Dataset, RunEvent

if TYPE_CHECKING:
    from openlineage.client import event_v2

log = logging.getLogger(__name__)

PRODUCER = "https://slipway.dev/operator"
MAX_WAITING = 1000
TIMEOUT = 5.0
"""Seconds for which one event may be tried to be sent."""
_MAX_MESSAGE = 4096


class RunEventSender:
    """`url` of the receiver; ``""``: nobody is told. `prefix` goes before the namespaces of jobs, to tell clusters apart."""

    def __init__(self, url: str = "", *, api_key: str = "", prefix: str = "") -> None:
        self._prefix = prefix
        self._waiting: queue.Queue[RunEvent | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self.dropped = 0
        if url:
            self._client = _client(url, api_key)
            self._thread = threading.Thread(target=self._run, name="openlineage", daemon=True)
            self._thread.start()

    def send(self, events: Iterable[RunEvent]) -> None:
        """Returns at once."""
        if self._thread is None:
            return
        for event in events:
            try:
                self._waiting.put_nowait(event)
            except queue.Full:
                self._drop(event, "the receiver takes no more")

    def close(self, timeout: float = 3.0) -> None:
        """Sends what waits, for at most `timeout` seconds."""
        if self._thread is None:
            return
        try:
            self._waiting.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                self._client.emit(translated(event, self._prefix))
            except Exception as error:  # whatever a receiver answers is no reason to stop
                self._drop(event, f"{type(error).__name__}: {error}")

    def _drop(self, event: RunEvent, why: str) -> None:
        self.dropped += 1
        log.warning("run event %s of %s/%s not sent: %s", event.state, event.namespace, event.job, why[:300])


def run_id(build_id: str, attempt: int) -> str:
    """The same for the same attempt, whoever tells of it: an event that is told twice is one run's."""
    return str(uuid5(NAMESPACE_URL, f"{PRODUCER}/{build_id}/{attempt}"))


def translated(event: RunEvent, prefix: str = "") -> event_v2.RunEvent:
    """The event in OpenLineage's terms."""
    from openlineage.client import event_v2, facet_v2

    facets: dict[str, Any] = {
        "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet(version=__version__, name="slipway")
    }
    if event.reason:
        words = f"{event.reason}: {event.message}"[:_MAX_MESSAGE]
        facets["errorMessage"] = facet_v2.error_message_run.ErrorMessageRunFacet(message=words, programmingLanguage="Python")
    job: dict[str, Any] = {
        "jobType": facet_v2.job_type_job.JobTypeJobFacet(processingType="BATCH", integration="SLIPWAY", jobType="MODEL_BUILD")
    }
    if event.commit:
        job["sourceCodeLocation"] = facet_v2.source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url=event.source, version=event.commit
        )
    return event_v2.RunEvent(
        eventTime=event.at.isoformat(),
        eventType=event_v2.RunState(event.state.value),
        run=event_v2.Run(runId=run_id(event.build_id, event.attempt), facets=facets),
        job=event_v2.Job(namespace=f"{prefix}{event.namespace}", name=event.job, facets=job),
        inputs=[_input(entry) for entry in event.inputs],
        outputs=[_output(entry) for entry in event.outputs],
        producer=PRODUCER,
    )


def _version(dataset: Dataset) -> dict[str, Any]:
    from openlineage.client import facet_v2

    if dataset.version is None:
        return {}
    return {"version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=dataset.version)}


def _input(dataset: Dataset) -> event_v2.InputDataset:
    from openlineage.client import event_v2, facet_v2

    counts = facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=dataset.rows, size=dataset.size)
    known: dict[str, Any] = {"inputStatistics": counts} if dataset.rows is not None or dataset.size is not None else {}
    return event_v2.InputDataset(dataset.namespace, dataset.name, facets=_version(dataset), inputFacets=known)


def _output(dataset: Dataset) -> event_v2.OutputDataset:
    from openlineage.client import event_v2, facet_v2

    counts = facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(size=dataset.size)
    return event_v2.OutputDataset(
        dataset.namespace, dataset.name, facets=_version(dataset), outputFacets={"outputStatistics": counts}
    )


def _client(url: str, api_key: str) -> Any:
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport, TokenProvider

    auth = ApiKeyTokenProvider({"apiKey": api_key}) if api_key else TokenProvider({})
    retry = {"total": 2, "backoff_factor": 0.3, "status_forcelist": [429, 500, 502, 503, 504], "allowed_methods": ["POST"]}
    return OpenLineageClient(transport=HttpTransport(HttpConfig(url=url, timeout=TIMEOUT, auth=auth, retry=retry)))
