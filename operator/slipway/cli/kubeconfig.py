"""Which namespace and user the kubeconfig means: read like kubectl does, and without a Kubernetes client, because the
registry's commands work on machines that have none.

Reference: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.cli.errors import CliError, ExitCode

DEFAULT_NAMESPACE = "default"
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class KubeContext:
    """A context of the kubeconfig; all None when there is no kubeconfig. `namespace` None: it names none."""

    name: str | None = None
    namespace: str | None = None
    user: str | None = None
    file: Path | None = None


def files(option: str | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The kubeconfig files in force, first one first: ``--kubeconfig``, else ``KUBECONFIG`` (a list), else
    ``~/.kube/config``. Raises CliError when the file that was named is not there; others may be absent."""
    if option:
        path = Path(option).expanduser()
        if not path.is_file():
            raise CliError(f"--kubeconfig {option}: there is no such file", ExitCode.USAGE)
        return (path,)
    named = [Path(part).expanduser() for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return tuple(path for path in named or [Path("~/.kube/config").expanduser()] if path.is_file())


def current(option: str | None, wanted: str | None, environment: Mapping[str, str]) -> KubeContext:
    """The context that a command means: `wanted` (``--context``), else the kubeconfig's current one. In a pod without
    kubeconfig, the pod's namespace. Raises CliError for a context that is not there."""
    paths = files(option, environment)
    if not paths and not wanted:
        try:
            return KubeContext(namespace=_SERVICE_ACCOUNT.read_text().strip() or None)
        except OSError:
            return KubeContext()
    contents = {path: _read(path) for path in paths}
    # Of several files, the first that says something wins.
    name = wanted or next((c["current-context"] for c in contents.values() if c.get("current-context")), None)
    if not name:
        return KubeContext()
    for path, content in contents.items():
        context = _entries(content, "contexts").get(name)
        if context is not None:
            return KubeContext(name, context.get("namespace") or None, context.get("user") or None, path)
    known = ", ".join(sorted({n for content in contents.values() for n in _entries(content, "contexts")})) or "none"
    where = " and ".join(str(path) for path in paths) or "any kubeconfig"
    raise CliError(f"there is no context {name!r} in {where} (there is: {known}): choose one with --context", ExitCode.USAGE)


def check_whole(context: KubeContext) -> None:
    """Raises CliError when the context's cluster or user is in another file than the context: kubectl merges files, the
    client that we use does not."""
    if context.file is None or context.name is None:
        return
    content = _read(context.file)
    entry = _entries(content, "contexts").get(context.name, {})
    for section, key in (("clusters", "cluster"), ("users", "user")):
        wanted = entry.get(key)
        if wanted and wanted not in _entries(content, section):
            raise CliError(
                f"context {context.name!r} of {context.file} uses the {key} {wanted!r}, which is not in that file: "
                "kubectl config view --flatten > FILE makes one of all, then --kubeconfig FILE"
            )


def context_names(option: str | None, environment: Mapping[str, str]) -> list[str]:
    """All contexts, sorted."""
    return sorted({name for path in files(option, environment) for name in _entries(_read(path), "contexts")})


def _entries(content: Mapping[str, Any], section: str) -> dict[str, dict[str, Any]]:
    """A list of the kubeconfig by name; entries that are not well formed are passed over."""
    found = content.get(section)
    return {
        entry["name"]: entry.get(section[:-1]) or {}
        for entry in (found if isinstance(found, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    }


def _read(path: Path) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_bytes(), loader)  # noqa: S506  both loaders are safe ones
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise CliError(f"kubeconfig {path}{line}: not YAML") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CliError(f"kubeconfig {path}: not a kubeconfig")
    return content
