"""What we push as another implementation sees it: crane, of Google's go-containerregistry."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from local import binaries
from local.progress import Progress
from local.settings import read
from tests.fakes.images import CODE, Site, wheel


@pytest.fixture(scope="session")
def crane() -> Path:
    return binaries.ensure_crane(read(), Progress())


def run(crane: Path, *words: str) -> str:
    done = subprocess.run([crane, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_finds_every_image_whole(crane: Path, site: Site, tmp_path: Path) -> None:
    """All layers are read: digests, diff ids, sizes, and that each is a tar."""
    tiny = wheel(tmp_path / "wheels", "tiny", extra=bytes(range(256)) * 4000)
    result = site.build({**CODE, tiny.name: tiny.read_bytes(), "requirements.txt": "tiny\n"}, tags=["latest"])
    assert result.image is not None
    assert "PASS" in run(crane, "validate", "--insecure", "--remote", result.image)
    assert run(crane, "digest", "--insecure", f"{site.repository}:latest").strip() == result.digest
    config = json.loads(run(crane, "config", "--insecure", result.image))
    assert config["config"]["WorkingDir"] == "/slipway/app"
    assert len(config["history"]) == len(config["rootfs"]["diff_ids"]) == 3
    listing = subprocess.run(
        ["tar", "-t"], input=subprocess.run([crane, "export", "--insecure", result.image, "-"], capture_output=True).stdout,
        capture_output=True,
    ).stdout.decode()  # fmt: skip
    assert "slipway/app/app.py" in listing
    assert "slipway/requirements/tiny/__init__.py" in listing


def test_it_finds_the_documents_beside_an_image(crane: Path, site: Site) -> None:
    result = site.build()
    index = json.loads(run(crane, "manifest", "--insecure", f"{site.repository}:{str(result.digest).replace(':', '-')}"))
    assert {entry["artifactType"] for entry in index["manifests"]} == {
        "application/vnd.cyclonedx+json",
        "application/vnd.in-toto+json",
    }
    for entry in index["manifests"]:
        document = json.loads(run(crane, "manifest", "--insecure", f"{site.repository}@{entry['digest']}"))
        assert document["subject"]["digest"] == result.digest
