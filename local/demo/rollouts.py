"""Films of roll-outs, from real ones: an example on the local cluster, with requests all the while.

python -m local.demo.rollouts canary docs/images/canary.svg
python -m local.demo.rollouts rollback docs/images/rollback.svg
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local.demo.film import Film
from local.demo.install import ROOT, install_chart, push_images
from local.demo.kubectl import Cluster, is_ready
from local.demo.predictions import Traffic, service_url
from local.progress import Progress
from local.providers import provider
from local.settings import child_environment

NAMESPACE = "demo"
Scene = tuple[str, str]
"""What is said, and the command that follows."""


def train(name: str, **params: float) -> str:
    """The command by which a person has the model trained otherwise."""
    patch = json.dumps({"spec": {"trainer": {"params": params}}})
    return f"kubectl patch -n {NAMESPACE} modelbuild {name} --type=merge -p '{patch}'"


def rollout(words: str, name: str, more: str = "") -> str:
    return f"kubectl slipway {words} -n {NAMESPACE} {name} {more}".strip()


FILMS: dict[str, tuple[str, Sequence[Scene]]] = {
    "canary": (
        "04-canary",
        (
            (
                "# Version 1 serves. The next one is trained on a fourth column, which no client sends:",
                train("canary", columns=4),
            ),
            ("", rollout("rollout watch", "canary", "--version 2")),
            ("# Version 2 is held, version 1 serves. With the columns put right:", train("canary", columns=3, C=2.0)),
            ("", rollout("rollout watch", "canary", "--version 3")),
        ),
    ),
    "rollback": (
        "05-rollback",
        (
            ("# Version 1 serves. Another one takes over at once, when all its pods answer:", train("rollback", C=2.0)),
            ("", rollout("rollout watch", "rollback", "--version 2")),
            ("# Back by hand: version 1 still has its pods.", rollout("rollback", "rollback", "--reason 'it felt wrong'")),
            ("", rollout("rollout watch", "rollback", "--version 1")),
            ("# One that was trained on a fourth column, which no client sends, takes over too …", train("rollback", columns=4)),
            ("", rollout("rollout watch", "rollback", "--version 3")),
            (
                "# … and is taken back, because it is watched:",
                f"kubectl wait -n {NAMESPACE} modeldeployment/rollback --for=jsonpath='{{.status.held.version}}'=3 --timeout=3m",
            ),
            ("", rollout("rollout status", "rollback")),
            ("", rollout("rollout history", "rollback")),
        ),
    ),
}
"""The example and what happens to it, by name of the film and of the example's resources."""


def film(cluster: Cluster, name: str, scenes: Sequence[Scene]) -> Film:
    """Plays all scenes. Takes two minutes."""
    made = Film()
    programs = f"{Path(sys.executable).parent}{os.pathsep}{Path(cluster.info.kubectl).parent}"
    registry = {"SLIPWAY_REGISTRY": f"s3://{cluster.info.buckets[0]}"}
    base = child_environment(**cluster.info.environment() | registry)
    environment = {**base, "PATH": f"{programs}{os.pathsep}{base['PATH']}"}
    with service_url(cluster, name, NAMESPACE) as url, Traffic(url, name, [0.1, 0.2, 0.3]) as traffic:
        for words, command in scenes:
            if words:
                made.say(f"\x1b[36m{words}\x1b[0m\n", 1.5)
            made.say(f"\x1b[1m$ {command}\x1b[0m\n", 1.0)
            code = made.run(["sh", "-c", command], environment)
            if code:
                made.say(f"\x1b[31m(exit code {code})\x1b[0m\n", 2.0)
    by = ", ".join(f"{count} by version {version}" for version, count in sorted(traffic.versions.items()))
    made.say(f"\x1b[36m# {traffic.sent} requests meanwhile: {by}; {len(traffic.failed)} failed\x1b[0m\n")
    return made


def main(name: str, target: str) -> None:
    """Brings up what is needed, plays the scenes, writes `target`."""
    example, scenes = FILMS[name]
    progress = Progress()
    cluster = Cluster(provider("bare", progress=progress).up())
    install_chart(cluster, push_images(cluster, progress), (NAMESPACE,), progress)
    folder = str(ROOT / "examples" / example)
    cluster.kubectl("delete", "-n", NAMESPACE, "-k", folder, "--ignore-not-found", "--wait")
    cluster.kubectl("apply", "-n", NAMESPACE, "-k", folder)
    cluster.wait("modeldeployment", name, NAMESPACE, "ready", is_ready, seconds=300)
    Path(target).write_text(film(cluster, name, scenes).svg(f"kubectl slipway: {example}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
