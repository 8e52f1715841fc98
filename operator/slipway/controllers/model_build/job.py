"""The training Job of one attempt, as a manifest. Pure."""

from __future__ import annotations

from slipway.api.common import LABEL_ATTEMPT, LABEL_BUILD
from slipway.controllers.model_build.observed import Observed
from slipway.controllers.shared.objects import child_name, labels, metadata, short
from slipway.controllers.shared.pods import TMP, WORK, container, env, merge, pod_spec, store_env
from slipway.kube.port import Object
from slipway.training.contract import BuildRequest

KEPT_SECONDS = 86400
"""How long a finished Job stays to be looked at; the attempt's log and reports are artifacts by then."""
BACKSTOP_SECONDS = 60
"""The pod ends itself at its deadline, so that its log and result are kept; Kubernetes ends it this much later if it cannot."""
RUNNER = ["python", "-m", "slipway.training"]
MOUNTS = [{"name": "work", "mountPath": WORK}, {"name": "tmp", "mountPath": TMP}]


def job_name(observed: Observed, number: int) -> str:
    return child_name(observed.build.metadata.name, observed.identity, f"-{number}" if number > 1 else "")


def job_manifest(observed: Observed, request: BuildRequest) -> Object:
    """One pod, no retries of Kubernetes' own: each attempt is a Job, so that each keeps its log and its reason."""
    build = observed.build
    marks = {LABEL_BUILD: short(observed.identity), LABEL_ATTEMPT: str(request.attempt)}
    child_labels = labels(build, "training", marks)
    template: Object = {"metadata": {"labels": child_labels}, "spec": _pod(observed, request)}
    own_deadline = request.entrypoint is not None
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(build, job_name(observed, request.attempt), child_labels),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": build.spec.deadline_seconds + (BACKSTOP_SECONDS if own_deadline else 0),
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": merge(template, build.spec.trainer.pod_template),
        },
    }


def _pod(observed: Observed, request: BuildRequest) -> Object:
    installation, trainer = observed.installation, observed.build.spec.trainer
    common = {"restartPolicy": "Never", "volumes": [{"name": "work", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}
    if request.entrypoint is not None:
        return pod_spec(
            installation.pods,
            installation.service_account,
            containers=[_runner(observed, request, "train", request.image, [], trainer.resources)],
            **common,
        )
    # Any other container: ours fetches for it and collects after it, by files.
    users = container(
        "train",
        request.image,
        installation.pods,
        command=list(trainer.command),
        args=list(trainer.args),
        env=env(
            {
                "SLIPWAY_PARAMS_FILE": f"{WORK}/params.json",
                "SLIPWAY_INPUTS_DIR": f"{WORK}/inputs",
                "SLIPWAY_OUTPUT_DIR": f"{WORK}/output",
                "SLIPWAY_SOURCE_DIR": f"{WORK}/source",
                "HOME": TMP,
            }
        ),
        resources=trainer.resources,
        volumeMounts=MOUNTS,
    )
    ours = installation.training_image
    return pod_spec(
        installation.pods,
        installation.service_account,
        initContainers=[_runner(observed, request, "fetch", ours, ["fetch"], {}), users],
        containers=[_runner(observed, request, "collect", ours, ["collect"], {})],
        **common,
    )


def _runner(observed: Observed, request: BuildRequest, name: str, image: str, args: list[str], resources: Object) -> Object:
    settings = observed.installation.pods
    store = store_env(settings)
    attempt = env({"SLIPWAY_ATTEMPT": f"{request.build_id.removeprefix('sha256:')}/{request.attempt}"})
    return container(
        name,
        image,
        settings,
        command=[*RUNNER, *args],
        env=[*attempt, *store["env"]],
        envFrom=store["envFrom"],
        resources=resources,
        volumeMounts=MOUNTS,
    )
