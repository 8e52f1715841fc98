"""The cluster of the caller's kube context, with the store and the image registry that the environment names.

Nothing is started here: `up` looks whether all is there and allowed, `down` takes away what the demo installs.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from local.errors import CommandError, LocalError, PreflightError
from local.info import ClusterInfo, Part, Status
from local.probe import http_ok
from local.progress import Progress
from local.settings import Settings
from local.shell import Runner, run
from local.tools import need_all

OPERATOR_NAMESPACE, RELEASE, DEMO_NAMESPACE = "slipway-system", "slipway", "demo"
KINDS = ("modelbuilds", "appbuilds", "modeldeployments", "featureviews")
RIGHTS = (
    ("create", "namespaces"),
    ("create", "customresourcedefinitions.apiextensions.k8s.io"),
    ("create", "clusterroles.rbac.authorization.k8s.io"),
    ("create", "deployments.apps"),
)
"""What the chart needs of the person who installs it."""
_NEEDED = {
    "SLIPWAY_REGISTRY_HOST": ("registry_host", "host:port of an image registry to push to"),
    "AWS_ENDPOINT_URL_S3": ("s3_endpoint", "URL of the object store"),
    "AWS_ACCESS_KEY_ID": ("s3_access_key", "its access key"),
    "AWS_SECRET_ACCESS_KEY": ("s3_secret_key", "its secret key"),
}


class CurrentProvider:
    """Kube context from ``KUBECONFIG``, the rest from the variables of :mod:`local.settings`."""

    name = "current"

    def __init__(
        self, settings: Settings, progress: Progress, runner: Runner = run, answers: Callable[..., bool] = http_ok
    ) -> None:
        self._settings, self._progress, self._run, self._answers = settings, progress, runner, answers

    def up(self) -> ClusterInfo:
        """Check that it can be used. Raises PreflightError with everything that is missing."""
        tools = need_all(self._settings, "kubectl", "helm")
        problems = self._unset()
        with self._progress.step("the cluster, its rights, store and registry are looked at"):
            if not self._cluster_answers(tools["kubectl"]):
                problems.append("the cluster of the current kube context does not answer: look at `kubectl get nodes`")
            else:
                problems += self._rights(tools["kubectl"])
            problems += self._services()
        if problems:
            raise PreflightError(problems)
        return self.info()

    def down(self, *, purge: bool = False) -> None:
        """Remove the demo's namespaces and the Helm release. With `purge` the kinds too, unless somebody else has
        resources of them. What lies in buckets and in the image registry stays."""
        tools = need_all(self._settings, "kubectl", "helm")
        with self._progress.step(f"namespace {DEMO_NAMESPACE} is deleted"):
            self._kubectl(tools, "delete", "namespace", DEMO_NAMESPACE, "--ignore-not-found", "--timeout=120s")
        with self._progress.step(f"release {RELEASE} and namespace {OPERATOR_NAMESPACE} are deleted"):
            self._helm(tools, "uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait")
            self._kubectl(tools, "delete", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--timeout=120s")
        if purge:
            self._forget_kinds(tools)

    def status(self) -> Status:
        """One part each for cluster, registry and store."""
        tools = need_all(self._settings, "kubectl", "helm")
        chosen = self._settings
        checks = {
            "cluster": self._cluster_answers(tools["kubectl"]),
            "registry": bool(chosen.registry_host) and self._answers(f"http://{chosen.registry_host}/v2/"),
            "s3": bool(chosen.s3_endpoint) and self._answers(chosen.s3_endpoint, expect=403),
        }
        return Status(self.name, tuple(Part(name, good) for name, good in checks.items()))

    def info(self) -> ClusterInfo:
        """Describe the cluster. Raises LocalError without a kube context."""
        tools = need_all(self._settings, "kubectl", "helm")
        chosen = self._settings
        try:
            context = self._kubectl(tools, "config", "current-context").strip()
        except CommandError as error:
            raise LocalError("there is no current kube context: set KUBECONFIG, or `kubectl config use-context`") from error
        return ClusterInfo(
            provider=self.name,
            kubeconfig="" if ":" in chosen.kubeconfig else chosen.kubeconfig,  # several files: kubectl merges them itself
            context=context,
            registry=chosen.registry_host,
            registry_in_cluster=chosen.registry_host_in_cluster,
            s3_endpoint=chosen.s3_endpoint,
            s3_endpoint_in_cluster=chosen.s3_endpoint_in_cluster,
            s3_region=chosen.s3_region,
            s3_access_key=chosen.s3_access_key,
            s3_secret_key=chosen.s3_secret_key,
            buckets=chosen.s3_buckets,
            kubectl=tools["kubectl"],
            helm=tools["helm"],
        )

    def _unset(self) -> list[str]:
        return [f"{name} is not set: {what}" for name, (key, what) in _NEEDED.items() if not getattr(self._settings, key)]

    def _cluster_answers(self, kubectl: str) -> bool:
        try:
            return self._run([kubectl, "get", "--raw", "/readyz"]).strip() == "ok"
        except CommandError:
            return False

    def _rights(self, kubectl: str) -> list[str]:
        missing = []
        for verb, resource in RIGHTS:
            # answers "no" with exit code 1
            if self._run([kubectl, "auth", "can-i", verb, resource, "--all-namespaces"], check=False).strip() != "yes":
                missing.append(f"you may not {verb} {resource} in this cluster, which installing the chart needs")
        return missing

    def _services(self) -> list[str]:
        chosen, problems = self._settings, []
        if chosen.registry_host and not self._answers(f"http://{chosen.registry_host}/v2/"):
            problems.append(f"no image registry answers at http://{chosen.registry_host}/v2/ (SLIPWAY_REGISTRY_HOST)")
        if chosen.s3_endpoint and not self._answers(chosen.s3_endpoint, expect=403):
            problems.append(f"no object store answers at {chosen.s3_endpoint} (AWS_ENDPOINT_URL_S3)")
        return problems

    def _forget_kinds(self, tools: dict[str, str]) -> None:
        for kind in KINDS:
            definition = f"{kind}.slipway.dev"
            if not self._kubectl(tools, "get", "crd", definition, "--ignore-not-found", "-o", "name").strip():
                continue
            left = json.loads(self._kubectl(tools, "get", definition, "--all-namespaces", "-o", "json"))["items"]
            if left:
                self._progress.say(f"{definition} stays: {len(left)} resources of other namespaces are of this kind")
            else:
                self._kubectl(tools, "delete", "crd", definition, "--ignore-not-found")

    def _kubectl(self, tools: dict[str, str], *words: str) -> str:
        return self._run([tools["kubectl"], *words])

    def _helm(self, tools: dict[str, str], *words: str) -> str:
        return self._run([tools["helm"], *words])
