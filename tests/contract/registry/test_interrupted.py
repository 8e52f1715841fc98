"""Ctrl-C ends an upload and a download at their next step, and the same call goes on from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from tests.fakes.stores import ADMIN, BUCKET, Weed, credentials

ROOT = Path(__file__).parents[3]
MIB = 1 << 20

MOVE = """
import json, signal, sys, threading
from pathlib import Path
from slipway.registry import Registry
from slipway.storage import S3Options

registry = Registry.open(sys.argv[1], S3Options(part_size=5 << 20, parallel_parts=1))
folder, back = Path(sys.argv[2]), Path(sys.argv[3])

def interrupted(move):
    moved, told = [], []

    def progress(count):
        moved.append(count)
        if sum(moved) > 9 << 20 and not told:
            told.append(True)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    try:
        move(progress)
    except KeyboardInterrupt:
        return sum(moved)
    return "it went on to its end"

sent = interrupted(lambda progress: registry.blobs.put_tree(folder, progress))
uploads = len(registry.store.connection.client.list_multipart_uploads(Bucket=registry.store.bucket).get("Uploads", ()))
again = []
entries = registry.blobs.put_tree(folder, again.append)
fetched = interrupted(lambda progress: registry.blobs.fetch_tree(entries, back, progress=progress))
left = sum(path.stat().st_size for path in back.glob(".fetch-*"))
registry.blobs.fetch_tree(entries, back)
same = all((back / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())
print(json.dumps({"sent": sent, "uploads": uploads, "first": again[:3], "fetched": fetched, "left": left, "same": same}))
"""


def test_an_interrupted_move_ends_soon_and_goes_on_later(seaweed: Weed, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(os.urandom(60 * MIB))
    (folder / "words").write_bytes(b"small")
    env = {**os.environ, **credentials(ADMIN), "AWS_ENDPOINT_URL_S3": seaweed.endpoint, "PYTHONPATH": str(ROOT / "operator")}
    command = [sys.executable, "-c", MOVE, f"s3://{BUCKET}/{uuid4()}", str(folder), str(tmp_path / "back")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert isinstance(said["sent"], int), said
    assert said["sent"] < 30 * MIB, "of 60"
    assert said["uploads"] == 1, "what was sent is kept for the next try"
    assert isinstance(said["fetched"], int), said
    assert 0 < said["left"] <= said["fetched"] < 30 * MIB
    assert said["same"]
