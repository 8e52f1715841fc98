"""What the files under manifests/ take from other sources: ``python -m manifests.render`` from the project's root.

``install/operator.yaml`` is the Helm chart, rendered with the values below, ``install/crds.yaml`` what lies in crds/;
``argocd/argocd-cm.yaml`` holds the health scripts that lie beside it. They are committed, so that kustomize and Argo CD
need no Helm; a test compares them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CRDS = HERE.parent / "crds"
CHART = HERE.parent / "charts/slipway"
HEALTH = HERE / "argocd/resource_customizations"
KUBERNETES = "1.34.0"
"""What the chart is rendered for: any version it accepts gives the same."""
VALUES = {
    "crds.enabled": "false",  # a file of their own
    "store.existingSecret": "slipway-store",
}
_HELM_ONLY = ("helm.sh/chart:", "app.kubernetes.io/managed-by: Helm", "# Source: ")
"""Lines that are true of a release only."""
_HEADER = "# Made by `python -m manifests.render` from {source}. Do not edit.\n"


def find_helm() -> str:
    """Helm of this machine, or else the one that `local` builds."""
    found = shutil.which("helm")
    if found:
        return found
    from local import binaries, settings
    from local.progress import Progress

    return str(binaries.ensure(settings.read(), Progress()).helm)


def operator(helm: str) -> str:
    """Everything of the chart but the CRDs. Raises CalledProcessError with Helm's words."""
    command = [helm, "template", "slipway", str(CHART), "--namespace", "slipway-system", "--kube-version", KUBERNETES]
    for name, value in VALUES.items():
        command += ["--set", f"{name}={value}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    kept = [line for line in text.splitlines() if not line.strip().startswith(_HELM_ONLY)]
    return _HEADER.format(source="charts/slipway") + "\n".join(kept) + "\n"


def definitions() -> str:
    """The CRDs in one file: kustomize reads none from outside of its own folder."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(CRDS.glob("*.yaml"))]
    bodies = ["\n".join(line for line in text.splitlines() if not line.startswith("#")) + "\n" for text in texts]
    return _HEADER.format(source="crds") + "---\n".join(bodies)


def argocd_config_map() -> str:
    """The part of ``argocd-cm`` that teaches Argo CD the health of the kinds, and what can be done to them."""
    lines = [
        "# Merge into Argo CD's own: kubectl -n argocd patch configmap argocd-cm --patch-file argocd-cm.yaml",
        "apiVersion: v1",
        "kind: ConfigMap",
        "metadata:",
        "  name: argocd-cm",
        "  namespace: argocd",
        "  labels:",
        "    app.kubernetes.io/name: argocd-cm",
        "    app.kubernetes.io/part-of: argocd",
        "data:",
    ]
    for script in sorted(HEALTH.glob("*/*/health.lua")):
        group, kind = script.parts[-3:-1]
        lines.append(f"  resource.customizations.health.{group}_{kind}: |")
        lines += _indented(script, 4)
    for discovery in sorted(HEALTH.glob("*/*/actions/discovery.lua")):
        group, kind = discovery.parts[-4:-2]
        lines.append(f"  resource.customizations.actions.{group}_{kind}: |")
        lines += ["    discovery.lua: |", *_indented(discovery, 6), "    definitions:"]
        for action in sorted(discovery.parent.glob("*/action.lua")):
            lines += [f"    - name: {action.parent.name}", "      action.lua: |", *_indented(action, 8)]
    return _HEADER.format(source="argocd/resource_customizations") + "\n".join(lines) + "\n"


def prometheus_rule() -> str:
    """The rules of Prometheus as a resource of the Prometheus operator."""
    lines = [
        "apiVersion: monitoring.coreos.com/v1",
        "kind: PrometheusRule",
        "metadata:",
        "  name: slipway",
        "  labels:",
        "    app.kubernetes.io/part-of: slipway",
        "spec:",
        *_indented(HERE / "monitoring/slipway.rules.yaml", 2),
    ]
    return _HEADER.format(source="monitoring/slipway.rules.yaml") + "\n".join(lines) + "\n"


def _indented(script: Path, spaces: int) -> list[str]:
    """The lines of a script as a YAML block."""
    return [f"{' ' * spaces}{line}" if line else "" for line in script.read_text(encoding="utf-8").splitlines()]


def files(helm: str) -> dict[Path, str]:
    """Path to content of everything that is generated here."""
    return {
        HERE / "install/crds.yaml": definitions(),
        HERE / "install/operator.yaml": operator(helm),
        HERE / "argocd/argocd-cm.yaml": argocd_config_map(),
        HERE / "monitoring/prometheusrule.yaml": prometheus_rule(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or with ``--check`` only says which differ. Exit status 1 when one does."""
    parser = argparse.ArgumentParser(prog="python -m manifests.render", description="Write the generated manifests.")
    parser.add_argument("--helm", default=None, help="the Helm program (default: on PATH, or built under the cache)")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a file is not up to date")
    options = parser.parse_args(arguments)
    stale = False
    for path, text in files(options.helm or find_helm()).items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        sys.stdout.write(f"{path.relative_to(HERE.parent)}: {'not up to date' if options.check else 'written'}\n")
        if not options.check:
            path.write_text(text, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
