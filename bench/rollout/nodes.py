"""Nodes without machines: kwok answers for them, and says of each pod that it is ready."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import binaries, settings
from local.progress import Progress

COUNT = 20


def kubectl(kubeconfig: Path, *words: str, stdin: str | None = None) -> str:
    """What kubectl prints. Raises CalledProcessError."""
    program = binaries.ensure(settings.read(), Progress()).component("kubectl")
    argv = [program, "--kubeconfig", str(kubeconfig), *words]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, input=stdin).stdout


@contextmanager
def nodes(folder: Path, kubeconfig: Path, port: int) -> Iterator[None]:
    """`COUNT` nodes that are ready. kwok listens on `port` of loopback; its log is ``kwok.log`` in `folder`."""
    program = binaries.ensure_kwok(settings.read(), Progress())
    # without leases the nodes count as lost after 40 s, and with them all pods
    flags = (
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        f"--server-address=127.0.0.1:{port}",
        "--cidr=10.128.0.1/16",
        "--node-ip=10.128.0.1",
    )
    with (folder / "kwok.log").open("wb") as log:
        process = subprocess.Popen([str(program), f"--kubeconfig={kubeconfig}", *flags], stdout=log, stderr=log)
    try:
        made = [
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number:02d}", "labels": {"type": "kwok"}}}
            for number in range(COUNT)
        ]
        kubectl(kubeconfig, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
        kubectl(kubeconfig, "wait", "--for=condition=Ready", "--timeout=120s", "nodes", "--all")
        yield
    finally:
        process.terminate()
        process.wait(30)
