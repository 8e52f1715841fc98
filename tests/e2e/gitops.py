"""A Git repository with the sample Applications, and what Argo CD said of them all the while."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from local.argocd import NAMESPACE
from local.demo.kubectl import Cluster, Object
from tests.fakes.git_server import Repository

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "manifests" / "argocd" / "applications"


class Desired:
    """What Git asks for: `manifests/argocd/applications`, the chart, and one example, for one cluster and namespace."""

    def __init__(self, folder: Path, example: str, namespace: str, values: Object) -> None:
        self._repository = Repository(folder)
        self.url = f"file://{folder}"
        self.values = values
        self._example = example
        self._namespace = namespace
        self.files = _tree("charts/slipway") | _tree(f"examples/{example}")

    def root(self) -> Object:
        """The application of applications, to be applied by hand."""
        found = self._sample("root")
        found["spec"]["source"]["path"] = "applications"
        return found

    def commit(self) -> str:
        """The whole as it is now. Gives the commit."""
        operator, models = self._sample("slipway"), self._sample("breast-cancer")
        operator["spec"]["source"]["helm"]["valuesObject"] = self.values
        models["metadata"]["name"] = "models"
        models["spec"]["source"]["path"] = f"examples/{self._example}"
        models["spec"]["destination"]["namespace"] = self._namespace
        applications = {f"applications/{a['metadata']['name']}.yaml": yaml.safe_dump(a).encode() for a in (operator, models)}
        return self._repository.commit(self.files | applications)

    def edit(self, name: str, spec: Object) -> str:
        """Changes a file of the example as a person would, at the top level of `spec` or one below, and commits."""
        path = f"examples/{self._example}/{name}"
        document = yaml.safe_load(self.files[path])
        for key, value in spec.items():
            held = document["spec"].get(key)
            document["spec"][key] = {**held, **value} if isinstance(held, dict) and isinstance(value, dict) else value
        self.files[path] = yaml.safe_dump(document).encode()
        return self.commit()

    def _sample(self, name: str) -> Object:
        found: Object = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text())
        found["spec"]["source"]["repoURL"] = self.url
        return found


def _tree(folder: str) -> dict[str, bytes]:
    paths = sorted(path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}


@dataclass(frozen=True)
class Seen:
    """One state of an Application."""

    sync: str
    health: str
    revision: str
    """The commit that it was compared with."""
    operation: str
    """Where its last operation stands."""
    synced: str
    """The commit of its last operation."""
    started: str
    healing: int
    """How often Argo CD put right by itself what had been synced already."""
    conditions: tuple[str, ...]


@dataclass
class Watched:
    """All states of all Applications, in order, each once."""

    states: dict[str, list[Seen]] = field(default_factory=dict)

    def add(self, application: Object) -> None:
        kept = self.states.setdefault(application["metadata"]["name"], [])
        seen = _seen(application)
        if not kept or kept[-1] != seen:
            kept.append(seen)

    def now(self, name: str) -> Seen | None:
        kept = self.states.get(name)
        return kept[-1] if kept else None

    def health(self, name: str) -> list[str]:
        """Each change of health."""
        return _changes(seen.health for seen in self.states[name] if seen.health)

    def out_of_sync(self, name: str) -> list[str]:
        """The commits because of which there was a difference, each time that there was one."""
        changes = _changes((seen.sync, seen.revision) for seen in self.states[name])
        return [revision for sync, revision in changes if sync == "OutOfSync"]

    def operations(self, name: str) -> list[str]:
        """The commits of all syncs that were begun. Argo CD may begin one again that it has just ended, when it looks at the cluster
        as it was before (`healing`, and no operation yet); that is the same sync, as long as the commit was not found to be synced before it decided so."""
        begun: list[str] = []
        started, settled = "", True
        for seen in self.states[name]:
            if seen.started and seen.synced and seen.started != started:
                if settled or begun[-1] != seen.synced:
                    begun.append(seen.synced)
                started, settled = seen.started, False
            settled = settled or (seen.sync == "Synced" and not (seen.healing and not seen.operation))
        return begun

    def conditions(self, name: str) -> set[str]:
        return {words for seen in self.states[name] for words in seen.conditions}


def _changes(values: Iterable[Any]) -> list[Any]:
    return [value for value, _ in groupby(values)]


def _seen(application: Object) -> Seen:
    status = application.get("status", {})
    state = status.get("operationState", {})
    begun = state.get("operation", {}).get("sync", {})
    pending = application.get("operation", {}).get("sync", {})
    return Seen(
        sync=status.get("sync", {}).get("status", ""),
        health=status.get("health", {}).get("status", ""),
        revision=status.get("sync", {}).get("revision", ""),
        operation=state.get("phase", ""),
        synced=state.get("syncResult", {}).get("revision", "") or begun.get("revision", ""),
        started=state.get("startedAt", ""),
        healing=max(int(part.get("autoHealAttemptsCount", 0)) for part in (begun, pending)),
        conditions=tuple(f"{c['type']}: {c['message']}" for c in status.get("conditions", ())),
    )


@contextmanager
def watched(cluster: Cluster) -> Iterator[Watched]:
    """Watches as long as the block lasts: no state between two looks is missed."""
    found = Watched()
    words = [*cluster.kubectl_argv, "get", "applications", "-n", NAMESPACE, "-o", "json", "--watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        thread = threading.Thread(target=_read, args=(process, found), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            process.terminate()
    thread.join(30)


def _read(process: subprocess.Popen[str], found: Watched) -> None:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.rstrip("\n") == "}":  # kubectl indents what is inside
            found.add(json.loads("".join(lines)))
            lines.clear()
