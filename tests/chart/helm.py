"""Helm as tests use it: the real program, on the chart of this repository."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/slipway"
NAMESPACE = "slipway-system"
KUBERNETES = "1.34.0"
Values = dict[str, Any]
Object = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """How a command of Helm ended, and what it said on either stream."""

    ok: bool
    out: str
    words: str


@dataclass(frozen=True)
class Helm:
    """`kubeconfig`: the cluster that releases go to; without one only what needs no cluster works."""

    program: str
    kubeconfig: Path | None = None

    def run(self, *words: str, values: Values | None = None) -> Said:
        """Any command; `values` are given as a file on standard input."""
        command = [self.program, *words]
        if values is not None:
            command += ["--values", "-"]
        if self.kubeconfig is not None:
            command += ["--kubeconfig", str(self.kubeconfig)]
        given = json.dumps(values) if values is not None else None
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
        return Said(done.returncode == 0, done.stdout, done.stderr)

    def template(self, values: Values | None = None, *, release: str = "slipway", namespace: str = NAMESPACE) -> list[Object]:
        """The rendered objects. Raises AssertionError with Helm's words."""
        return objects_of(_rendered(self, json.dumps(values or {}), release, namespace))

    def refusal(self, values: Values) -> str:
        """What Helm says of values that the chart does not take."""
        said = self.run("template", "slipway", str(CHART), "--kube-version", KUBERNETES, values=values)
        assert not said.ok, "these values were taken"
        return said.words


@cache
def _rendered(helm: Helm, values: str, release: str, namespace: str) -> str:
    said = helm.run(
        "template", release, str(CHART), "--namespace", namespace, "--kube-version", KUBERNETES, values=json.loads(values)
    )
    assert said.ok, said.words
    return said.out


def objects_of(text: str) -> list[Object]:
    """The objects in a stream of YAML documents."""
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def the(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of that kind and name."""
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def container(objects: list[Object]) -> Object:
    """The operator's container."""
    found: Object = the(objects, "Deployment", "slipway")["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(objects: list[Object]) -> dict[str, str]:
    """What the operator's container finds in its environment, as far as the chart writes it there."""
    return {entry["name"]: entry["value"] for entry in container(objects)["env"] if "value" in entry}
