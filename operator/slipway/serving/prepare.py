"""All that stands between start and readiness of one model: find, verify, load, run once, and put application code around
it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.serving import log
from slipway.serving.app import Route
from slipway.serving.batching import Batcher
from slipway.serving.endpoints import Endpoints
from slipway.serving.formats import Model
from slipway.serving.load import Located, load, locate
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.watch import Watch
from slipway.serving.pipeline import Pipeline
from slipway.serving.service import Context, Handle, Service, load_service
from slipway.serving.settings import Options
from slipway.serving.warmup import warm_up

if TYPE_CHECKING:
    from slipway.serving.features.online import Online


@dataclass(frozen=True)
class Prepared:
    """A model that has answered. `description`: what the log says of it."""

    located: Located
    model: Model
    batcher: Batcher
    endpoints: Endpoints
    service: Service | None
    routes: Mapping[str, Route]
    watch: Watch
    online: Online | None
    description: Mapping[str, Any]

    def close(self) -> None:
        """Lets its threads and processes go; what monitoring holds is stored by then, or lost after some seconds."""
        self.batcher.close()
        self.watch.close()
        if self.online is not None:
            self.online.close()
        if self.service is not None:
            self.service.close()
        end: Callable[[], None] | None = getattr(self.model, "close", None)
        if end is not None:
            end()
        if self.located.lease is not None:
            self.located.lease.close()


def prepare(options: Options, metrics: Metrics) -> Prepared:
    """Blocks; takes as long as the download does. Raises StartError, MemoryError."""
    located = locate(options)
    model = load(located, options)
    warm = warm_up(model)
    identity = located.identity
    service = _service(located, model, options)
    predicts = service is not None and service.has("predict")
    watch = Watch(identity.name, identity.version, model.signature, located.reference(), options, predicts=predicts)
    batcher = Batcher(
        model,
        metrics,
        max_batch=options.max_batch,
        max_queue=options.max_queue,
        stack=warm.stackable,
        seconds=warm.seconds,
        parallel=getattr(model, "processes", 1),
        inline=getattr(model, "inline", True),
        observer=watch,
    )
    if not warm.stackable:
        log.line("requests are not stacked", level="warning", model=located.identity.name, reason=warm.why)
    pipeline = Pipeline(service, model.signature, batcher, options.max_rows, watch.application) if service is not None else None
    online = _online(located, model, pipeline, options)
    if online is None:
        endpoints = Endpoints(identity, model, batcher, options.max_rows, pipeline, options.max_body)
    else:
        from slipway.serving.features.endpoints import FeatureEndpoints

        endpoints = FeatureEndpoints(online, identity, model, batcher, options.max_rows, pipeline, options.max_body)
    description = {
        "model": identity.name,
        "version": identity.version,
        "digest": identity.digest,
        "format": located.format,
        "application": options.entrypoint or None,
    }
    return Prepared(
        located,
        model,
        batcher,
        endpoints,
        service,
        {**endpoints.routes(), **watch.routes()},
        watch,
        online,
        description,
    )


def _online(located: Located, model: Model, pipeline: Pipeline | None, options: Options) -> Online | None:
    """What reads the features of the views that the version was trained on; None for most versions."""
    if not located.feature_views or located.registry is None:
        return None
    from slipway.serving.features.online import open_online

    anything = pipeline is not None and pipeline.transforms_inputs
    names = located.identity.name, located.identity.version
    return open_online(names, located.feature_views, located.registry, model.signature, options, anything=anything)


def _service(located: Located, model: Model, options: Options) -> Service | None:
    if not options.entrypoint:
        return None
    context = Context(Handle(model), dict(located.metadata))
    return load_service(options.app, options.entrypoint, context)
