"""The Job of one attempt of an app build, as a manifest. Pure."""

from __future__ import annotations

from slipway.api.common import LABEL_ATTEMPT, LABEL_BUILD
from slipway.controllers.app_build.observed import Observed
from slipway.controllers.shared.objects import child_name, labels, metadata, short
from slipway.controllers.shared.pods import TMP, container, env, pod_spec, store_env
from slipway.kube.port import Object

KEPT_SECONDS = 86400
BACKSTOP_SECONDS = 60
"""The pod ends itself at its deadline and says so; Kubernetes ends it this much later if it cannot."""
DOCKER = "/slipway/docker"
RUNNER = ["python", "-m", "slipway.images"]


def job_manifest(observed: Observed, number: int) -> Object:
    """One pod without privileges, token or retries of Kubernetes' own: it writes layers straight to the image registry."""
    build, installation = observed.build, observed.installation
    child_labels = labels(build, "app-build", {LABEL_BUILD: short(observed.identity), LABEL_ATTEMPT: str(number)})
    store = store_env(installation.pods)
    secret = build.spec.output.credentials_secret
    mounts = [{"name": "tmp", "mountPath": TMP}]
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {}}]
    if secret:
        mounts.append({"name": "docker", "mountPath": DOCKER})
        items = [{"key": ".dockerconfigjson", "path": "config.json"}]
        # Optional: without it the pod would wait for ever; so it starts, and says what is missing.
        volumes.append({"name": "docker", "secret": {"secretName": secret, "items": items, "optional": True}})
    own = env(
        {
            "SLIPWAY_ATTEMPT": f"{observed.identity.removeprefix('sha256:')}/{number}",
            "DOCKER_CONFIG": DOCKER if secret else "",
            "UV_DEFAULT_INDEX": installation.package_index_url,
        }
    )
    builder = container(
        "build",
        installation.builder_image,
        installation.pods,
        command=RUNNER,
        env=[*own, *store["env"]],
        envFrom=store["envFrom"],
        volumeMounts=mounts,
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(build, job_name(observed, number), child_labels),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": build.spec.deadline_seconds + BACKSTOP_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {"labels": child_labels},
                "spec": pod_spec(
                    installation.pods,
                    installation.service_account,
                    restartPolicy="Never",
                    containers=[builder],
                    volumes=volumes,
                ),
            },
        },
    }


def job_name(observed: Observed, number: int) -> str:
    return child_name(observed.build.metadata.name, observed.identity, f"-{number}" if number > 1 else "")
