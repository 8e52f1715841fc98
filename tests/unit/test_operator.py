"""The operator's process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OPERATOR = Path(__file__).parents[2] / "operator"
STARTED = """
import sys
import slipway.__main__ as operator

code = operator.main()
import boto3, botocore.httpsession, httpx, slipway.images.registry_client
from httpx import main
print(code, *{name.partition(".")[0] for name in sys.modules})
"""


def test_what_it_has_no_use_for_is_not_loaded(tmp_path: Path) -> None:
    """It ends at once as there is no cluster, and has loaded all that it runs with by then."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SLIPWAY_", "KUBE"))}
    env |= {"KUBECONFIG": str(tmp_path / "none"), "PYTHONPATH": str(OPERATOR)}
    ran = subprocess.run([sys.executable, "-c", STARTED], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    code, *loaded = ran.stdout.split()
    assert code == "1", ran.stderr
    assert "kopf" in loaded, "it did not come to its controllers"
    assert {"OpenSSL", "rich", "pygments"}.isdisjoint(loaded)
