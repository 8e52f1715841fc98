"""kubectl and Helm on one cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from local.errors import WaitTimeout
from local.info import ClusterInfo
from local.shell import run

Object = dict[str, Any]
POLL_SECONDS = 0.5


class Cluster:
    """The cluster that `info` describes, through its own kubectl and Helm."""

    def __init__(self, info: ClusterInfo) -> None:
        self.info = info
        config = ["--kubeconfig", info.kubeconfig] if info.kubeconfig else []
        self.kubectl_argv = [info.kubectl, *config, *(["--context", info.context] if info.context else [])]
        self._helm = [info.helm, *config, *(["--kube-context", info.context] if info.context else [])]

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        """Runs kubectl and returns its stdout. Raises CommandError."""
        return run([*self.kubectl_argv, *words], stdin=stdin, check=check)

    def helm(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        """Runs Helm and returns its stdout. Raises CommandError."""
        return run([*self._helm, *words], stdin=stdin, check=check)

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        """The object, or None."""
        text = self.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        found: Object | None = json.loads(text) if text.strip() else None
        return found

    def apply(self, manifest: Object) -> None:
        """Server-side, so that running it again changes nothing that is right already."""
        words = ("apply", "--server-side", "--force-conflicts", "--field-manager=slipway-demo", "-f", "-")
        self.kubectl(*words, stdin=json.dumps(manifest))

    def wait(
        self,
        kind: str,
        name: str,
        namespace: str,
        what: str,
        holds: Callable[[Object], bool],
        *,
        seconds: float,
        changed: Callable[[str], None] = lambda _text: None,
    ) -> Object:
        """Polls until `holds`. Each new message of the Ready condition goes to `changed`. Raises WaitTimeout with the last
        one; at once when the resource says that it is stalled."""
        deadline, last = time.monotonic() + seconds, ""
        while True:
            found = self.get(kind, name, namespace)
            if found is not None and holds(found):
                return found
            text = describe(found)
            if text != last:
                changed(text)
                last = text
            if found is not None and condition(found, "Stalled") is not None and is_current(found):
                raise WaitTimeout(f"{kind} {name} needs a person: {text}")
            if time.monotonic() > deadline:
                raise WaitTimeout(f"{kind} {name} is not {what} after {seconds:.0f} s: {text}")
            time.sleep(POLL_SECONDS)


def condition(resource: Object, kind: str) -> Object | None:
    """The condition of a type, or None."""
    found = [c for c in resource.get("status", {}).get("conditions", ()) if c["type"] == kind]
    return found[0] if found else None


def is_current(resource: Object) -> bool:
    """Whether status is about the newest spec."""
    observed = resource.get("status", {}).get("observedGeneration")
    return bool(observed == resource["metadata"]["generation"])


def is_ready(resource: Object) -> bool:
    """Whether the newest spec is done."""
    ready = condition(resource, "Ready")
    return ready is not None and ready["status"] == "True" and is_current(resource)


def describe(resource: Object | None) -> str:
    """What the resource says of itself."""
    ready = condition(resource, "Ready") if resource else None
    return f"{ready['reason']}: {ready.get('message', '')}" if ready else "not seen by the operator yet"
