"""kubectl and Helm for clusters that bring none: those on the path, else those that were built here for the bare cluster."""

from __future__ import annotations

from local import binaries
from local.errors import PreflightError
from local.settings import Settings
from local.shell import find

_HINTS = {
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "helm": "https://helm.sh/docs/intro/install/",
    "docker": "https://docs.docker.com/engine/install/",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
}


def need_all(settings: Settings, *programs: str) -> dict[str, str]:
    """Paths by name. Raises PreflightError that names all that are missing."""
    built = binaries.present(settings)
    ours = {"kubectl": built.component("kubectl"), "helm": str(built.helm)} if built else {}
    found = {name: str(path) for name in programs if (path := find(name) or ours.get(name))}
    missing = [f"`{name}` is missing: see {_HINTS[name]}" for name in programs if name not in found]
    if missing:
        raise PreflightError(missing)
    return found
