"""A real API server as tests use it: through kubectl, the way people do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import binaries
from local import settings as local_settings
from local.control_plane import ControlPlane
from local.progress import Progress

ROOT = Path(__file__).resolve().parents[3]
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """How a command of kubectl ended. `words` is what a person sees of a refusal."""

    ok: bool
    out: str
    words: str

    @property
    def json(self) -> Any:
        assert self.ok, self.words
        return json.loads(self.out)


@dataclass(frozen=True)
class Server:
    """An API server from an empty etcd with Slipway's CRDs. Nothing acts on what is written."""

    kubeconfig: Path
    program: str
    helm: str

    def kubectl(self, *arguments: str, given: str | None = None) -> Answer:
        done = subprocess.run(
            [self.program, "--kubeconfig", str(self.kubeconfig), *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode == 0, done.stdout, done.stderr)

    def apply(self, *manifests: Manifest, dry: bool = True, namespace: str = "default", who: str | None = None) -> Answer:
        """Server-side apply, which is strict about unknown fields; with `dry` nothing is kept. An empty `namespace` leaves
        each manifest where it says."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        options = ["--dry-run=server"] if dry else []
        options += ["-n", namespace] if namespace else []
        options += ["--as", who] if who else []
        return self.kubectl(
            "apply", "--server-side", "--force-conflicts", *options, "-o", "json", "-f", "-",
            given=json.dumps(listed if len(manifests) != 1 else manifests[0]),
        )  # fmt: skip

    def can(self, who: str, verb: str, resource: str, namespace: str, name: str = "") -> bool:
        """Whether `who` may do that, as the server's own authorizer sees it. `resource` is group/plural[/subresource]."""
        return self.allowed(who, [(verb, resource, namespace, name)])[0]

    def allowed(self, who: str, wishes: Sequence[tuple[str, str, str, str]]) -> list[bool]:
        """The same for several wishes (verb, resource, namespace, name) with one command."""
        reviews = [_review(who, *wish) for wish in wishes]
        listed = {"apiVersion": "v1", "kind": "List", "items": reviews}
        answer = self.kubectl("create", "-f", "-", "-o", "jsonpath={.status.allowed} ", given=json.dumps(listed))
        assert answer.ok, answer.words
        return [word == "true" for word in answer.out.split()]


def _review(who: str, verb: str, resource: str, namespace: str, name: str) -> Manifest:
    group, plural, *sub = resource.split("/")
    attributes = {
        "verb": verb,
        "group": "" if group == "core" else group,
        "resource": plural,
        "subresource": sub[0] if sub else "",
        "namespace": namespace,
        "name": name,
    }
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who, "groups": ["system:authenticated"], "resourceAttributes": attributes},
    }


@contextmanager
def running(*flags: str, definitions: bool = True) -> Iterator[Server]:
    """A server of its own, ready, with more `flags`; with the CRDs of crds/ unless `definitions` is false."""
    programs = binaries.ensure(local_settings.read(), Progress())
    with ControlPlane(apiserver_flags=flags) as plane:
        server = Server(plane.kubeconfig, programs.component("kubectl"), str(programs.helm))
        if definitions:
            applied = server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
            assert applied.ok, applied.words
            known = server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
            assert known.ok, known.words
        yield server
