"""What the scenarios over the controllers share: resources, and pods that do what real ones would."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from slipway.controllers.app_build import CONTROLLER_FACTORY as APP_BUILD
from slipway.controllers.feature_view import CONTROLLER_FACTORY as FEATURE_VIEW
from slipway.controllers.model_build import CONTROLLER_FACTORY as MODEL_BUILD
from slipway.controllers.model_deployment import CONTROLLER_FACTORY as MODEL_DEPLOYMENT
from slipway.images.contract import AppBuildRequest, AppBuildResult, AppLayer
from slipway.kube.port import Object
from slipway.registry.records import AttemptResult, FileEntry
from slipway.settings import Settings
from slipway.training.contract import TRAINED, BuildRequest
from tests.fakes.cluster import Ended, JobScript
from tests.faults.world import World

NAMESPACE = "default"
BASE = "registry.example.com/slipway/serving@sha256:" + "b" * 64
SETTINGS = Settings(
    registry="memory://registry",
    training_image="registry.example.com/slipway/training@sha256:" + "a" * 64,
    serving_image=BASE,
)
CODE = {"train.py": "def main(run): ...\n"}


def points_of_a_kind() -> int | None:
    """How many points of each kind of fault a sweep runs, evenly spread: 60, or all with SLIPWAY_SWEEP=all. Crashes are
    always swept in full."""
    return None if os.environ.get("SLIPWAY_SWEEP") == "all" else 60


def world(*kinds: str, settings: Settings = SETTINGS) -> World:
    factories = {
        "ModelBuild": MODEL_BUILD,
        "AppBuild": APP_BUILD,
        "ModelDeployment": MODEL_DEPLOYMENT,
        "FeatureView": FEATURE_VIEW,
    }
    made = World({kind: factories[kind] for kind in kinds or factories}, settings)
    made.api.make(config_map("code", CODE))
    made.bucket("data").put("train.parquet", b"rows")
    made.cluster.jobs = pods(made)
    return made


def config_map(name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def model_build(**spec: Any) -> Object:
    body = {
        "source": {"configMap": {"name": "code"}},
        "trainer": {"entrypoint": "train:main", "params": {"C": 0.3}},
        "inputs": [{"name": "train", "s3": {"uri": "s3://data/train.parquet"}}],
        "evaluation": {"gates": [{"metric": "auc", "min": 0.9}]},
        "promotion": {"alias": "champion"},
    }
    return _resource("ModelBuild", "cancer", body | spec)


def app_build(**spec: Any) -> Object:
    body = {
        "source": {"configMap": {"name": "code"}},
        "base": {"image": BASE},
        "output": {"repository": "registry.example.com/team/app"},
    }
    return _resource("AppBuild", "app", body | spec)


def model_deployment(**spec: Any) -> Object:
    return _resource("ModelDeployment", "cancer", {"model": {"name": "cancer", "alias": "champion"}, "replicas": 2} | spec)


def feature_view(name: str = "visits", **spec: Any) -> Object:
    body = {
        "entities": [{"name": "user"}],
        "eventTime": "happened",
        "features": [{"name": "pages", "type": "int64"}, {"name": "country", "type": "string"}],
    }
    return _resource("FeatureView", name, body | spec)


def _resource(kind: str, name: str, spec: Object) -> Object:
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}


def put(manifest: Object) -> Callable[[World], None]:
    """As ``kubectl apply``: made, or its spec and annotations replaced."""

    def action(world: World) -> None:
        meta = manifest["metadata"]
        live = world.api.peek(manifest["kind"], meta["namespace"], meta["name"])
        if live is None:
            world.api.make(json.loads(json.dumps(manifest)))
            return

        def change(current: Object) -> None:
            body = "spec" if "spec" in manifest else "data"
            current[body] = json.loads(json.dumps(manifest[body]))
            current["metadata"].setdefault("annotations", {}).update(meta.get("annotations", {}))

        world.api.edit(manifest["kind"], meta["namespace"], meta["name"], change)

    action.__name__ = f"apply {manifest['kind']}"
    return action


def delete(kind: str, name: str) -> Callable[[World], None]:
    def action(world: World) -> None:
        world.api.remove(kind, NAMESPACE, name)

    action.__name__ = f"delete {kind}"
    return action


def in_turn(*actions: Callable[[World], None]) -> Callable[[World], None]:
    """Several actions with no rest between them."""

    def action(world: World) -> None:
        for each in actions:
            each(world)

    action.__name__ = ", ".join(each.__name__ for each in actions)
    return action


def get(world: World, kind: str, name: str) -> Object:
    found = world.api.peek(kind, NAMESPACE, name)
    assert found is not None, f"{kind} {name} is not there"
    return found


def ready(resource: Object) -> tuple[str, str]:
    """Status and reason of the Ready condition."""
    condition = next(c for c in resource["status"]["conditions"] if c["type"] == "Ready")
    return condition["status"], condition["reason"]


# ---- pods ----


def attempt_of(job: Object) -> tuple[str, int]:
    spec = job["spec"]["template"]["spec"]
    env = {e["name"]: e["value"] for e in spec["containers"][0]["env"]}
    build, _, number = env["SLIPWAY_ATTEMPT"].partition("/")
    return f"sha256:{build}", int(number)


def pods(world: World, auc: float = 0.95) -> JobScript:
    """Jobs whose pods do their work: train a model of so many bytes as C says, or push an image."""

    def script(job: Object) -> Ended:
        return Ended(
            work=lambda made: (
                train(world, made, auc) if made["metadata"]["labels"]["slipway.dev/kind"] == "ModelBuild" else push(world, made)
            )
        )

    return script


def train(world: World, job: Object, auc: float = 0.95) -> None:
    registry = world.registry()
    build_id, number = attempt_of(job)
    request = registry.read_request(build_id, number, BuildRequest)
    assert request is not None, "the request lies there before the Job does"
    for entry in request.source.files:
        registry.blobs.read(entry.digest)
    model = json.dumps([sorted(request.params.items()), [i.digest for i in request.inputs]]).encode()
    stored: FileEntry = registry.blobs.put_bytes(model, "application/octet-stream", path="model.onnx")
    registry.write_attempt(
        AttemptResult(
            build_id=build_id,
            attempt=number,
            outcome="Succeeded",
            reason=TRAINED,
            files=(stored,),
            format="onnx",
            params=request.params,
            metrics={"auc": auc},
            started_at=world.clock(),
            finished_at=world.clock(),
        )
    )


def fail(world: World, reason: str, message: str = "it went wrong") -> JobScript:
    """Jobs whose pods report a failure."""

    def work(job: Object) -> None:
        build_id, number = attempt_of(job)
        world.registry().write_attempt(
            AttemptResult(
                build_id=build_id,
                attempt=number,
                outcome="Failed",
                reason=reason,
                message=message,
                started_at=world.clock(),
                finished_at=world.clock(),
            )
        )

    return lambda _job: Ended(exit_code=1, work=work)


def push(world: World, job: Object) -> None:
    registry = world.registry()
    build_id, number = attempt_of(job)
    request = registry.read_request(build_id, number, AppBuildRequest)
    assert request is not None, "the request lies there before the Job does"
    digest = "sha256:" + build_id.removeprefix("sha256:")
    registry.write_result(
        build_id,
        number,
        AppBuildResult(
            build_id=build_id,
            attempt=number,
            outcome="Succeeded",
            reason="Pushed",
            image=f"{request.repository}@{digest}",
            digest=digest,
            base=request.base,
            layers=(AppLayer(digest=digest, size=10, holds="application"),),
            started_at=world.clock(),
            finished_at=world.clock(),
        ),
    )
