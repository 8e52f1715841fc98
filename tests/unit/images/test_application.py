from __future__ import annotations

from pathlib import Path

import pytest

from slipway.images.application import EntrypointInvalid, check_entrypoint, layer_entries

MODULE = """
import json as js
from os import path
if True:
    try:
        class Inner: ...
    except ImportError:
        Fallback = None
A = B = 1
C, (D, *E) = 1, (2, 3)
def make(): ...
with open("x") as handle:
    F = 1
for index in []:
    pass
G: int = 1
"""


def test_every_way_to_bind_a_name_counts(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(MODULE)
    for name in ("js", "path", "Inner", "Fallback", "A", "B", "C", "D", "E", "make", "handle", "F", "index", "G"):
        check_entrypoint(f"app:{name}", tmp_path)
    for name in ("json", "os", "H"):
        with pytest.raises(EntrypointInvalid):
            check_entrypoint(f"app:{name}", tmp_path)


@pytest.mark.parametrize("text", ["from other import *\n", "def __getattr__(name): ...\n"])
def test_what_only_running_could_tell_passes(text: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(text)
    check_entrypoint("app:Service", tmp_path)


def test_packages(tmp_path: Path) -> None:
    (tmp_path / "pkg" / "inner").mkdir(parents=True)
    (tmp_path / "pkg" / "__init__.py").write_text("class Top: ...\n")
    (tmp_path / "pkg" / "inner" / "mod.py").write_text("class Deep: ...\n")
    check_entrypoint("pkg:Top", tmp_path)
    check_entrypoint("pkg.inner.mod:Deep.make", tmp_path)
    with pytest.raises(EntrypointInvalid, match=r"no module 'pkg\.inner'"):
        check_entrypoint("pkg.inner:Deep", tmp_path)


def test_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit(1)\nclass Service: ...\n")
    check_entrypoint("app:Service", tmp_path)


def test_what_is_no_part_of_the_application_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("app.py", "__pycache__/app.cpython-311.pyc", ".git/config", "x-1.0-py3-none-any.whl", "data/labels.json"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    files = {entry.path for entry in layer_entries(source, tmp_path, python=None) if entry.kind == "file"}
    assert files == {"slipway/app/app.py", "slipway/app/data/labels.json"}
