"""The film of a canary that fails and heals, from a real one: examples/04-canary on the local cluster, with requests all the while.

python -m local.demo.canary docs/images/canary.svg
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from local.demo.film import Film
from local.demo.install import ROOT, install_chart, push_images
from local.demo.kubectl import Cluster, is_ready
from local.demo.predictions import Traffic, service_url
from local.progress import Progress
from local.providers import provider
from local.settings import child_environment

NAMESPACE, NAME = "demo", "canary"
WATCH = f"kubectl slipway rollout watch -n {NAMESPACE} {NAME}"


def train(**params: float) -> str:
    """The command by which a person has the model trained otherwise."""
    patch = json.dumps({"spec": {"trainer": {"params": params}}})
    return f"kubectl patch -n {NAMESPACE} modelbuild {NAME} --type=merge -p '{patch}'"


SCENES = (
    ("# Version 1 serves. The next one is trained on a fourth column, which no client sends:", train(columns=4)),
    ("", f"{WATCH} --version 2"),
    ("# Version 2 is held, version 1 serves. With the columns put right:", train(columns=3, C=2.0)),
    ("", f"{WATCH} --version 3"),
)


def film(cluster: Cluster) -> Film:
    """Plays all scenes. Takes two minutes."""
    made = Film()
    programs = f"{Path(sys.executable).parent}{os.pathsep}{Path(cluster.info.kubectl).parent}"
    base = child_environment(**cluster.info.environment())
    environment = {**base, "PATH": f"{programs}{os.pathsep}{base['PATH']}"}
    with service_url(cluster, NAME, NAMESPACE) as url, Traffic(url, NAME, [0.1, 0.2, 0.3]) as traffic:
        for words, command in SCENES:
            if words:
                made.say(f"\x1b[36m{words}\x1b[0m\n", 1.5)
            made.say(f"\x1b[1m$ {command}\x1b[0m\n", 1.0)
            code = made.run(["sh", "-c", command], environment)
            if code:
                made.say(f"\x1b[31m(exit code {code})\x1b[0m\n", 2.0)
    by = ", ".join(f"{count} by version {version}" for version, count in sorted(traffic.versions.items()))
    made.say(f"\x1b[36m# {traffic.sent} requests meanwhile: {by}; {len(traffic.failed)} failed\x1b[0m\n")
    return made


def main(target: str) -> None:
    """Brings up what is needed, plays the scenes, writes `target`."""
    progress = Progress()
    cluster = Cluster(provider("bare", progress=progress).up())
    install_chart(cluster, push_images(cluster, progress), (NAMESPACE,), progress)
    folder = str(ROOT / "examples" / "04-canary")
    cluster.kubectl("delete", "-n", NAMESPACE, "-k", folder, "--ignore-not-found", "--wait")
    cluster.kubectl("apply", "-n", NAMESPACE, "-k", folder)
    cluster.wait("modeldeployment", NAME, NAMESPACE, "ready", is_ready, seconds=300)
    Path(target).write_text(film(cluster).svg("kubectl slipway rollout watch"))


if __name__ == "__main__":
    main(sys.argv[1])
