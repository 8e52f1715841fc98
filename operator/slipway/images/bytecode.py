"""Compiles Python files for a read-only root: bytecode that is right by construction and never checked against its source.

The bytes depend on the sources and the interpreter alone: no times, no paths of this machine, a fixed hash seed, files in
sorted order in a fresh process (CPython's marshal writes references by how often an object is used in the process).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slipway.images.errors import ToolMissing

_SHARDS = 8
"""Processes that share the files, by position: fixed, so that the result does not depend on the number of processors."""
_TIMEOUT = 900.0
_SCRIPT = r"""
import importlib.util, json, os, py_compile, sys
job = json.load(sys.stdin)
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for name in job["files"]:
    out = os.path.join(job["out"], importlib.util.cache_from_source(name))
    try:
        py_compile.compile(os.path.join(job["root"], name), out, os.path.join(job["prefix"], name),
                           doraise=True, invalidation_mode=mode, quiet=2)
    except (py_compile.PyCompileError, UnicodeDecodeError, ValueError):
        pass  # templates, and code for other versions: imported by nobody, or with the same error as without bytecode
"""


def compile_files(root: Path, files: Iterable[str], prefix: str, out: Path, *, python: Path) -> None:
    """Compiles `files` (relative to `root`) with the interpreter `python` into ``__pycache__`` folders under `out`.

    Tracebacks will name them under `prefix`, their folder in the image. Files with errors are left out."""
    ordered = sorted(files)
    shards = [ordered[number::_SHARDS] for number in range(_SHARDS)]

    def one(names: list[str]) -> None:
        job = json.dumps({"root": str(root), "out": str(out), "prefix": prefix, "files": names})
        done = subprocess.run(
            [python, "-S", "-s", "-P", "-B", "-c", _SCRIPT],
            input=job,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            env={"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
        )
        if done.returncode != 0:
            raise ToolMissing(f"{python} cannot compile {root}: {done.stderr.strip()[-500:]}")

    with ThreadPoolExecutor(max(1, min(_SHARDS, os.cpu_count() or 1))) as pool:
        for job in [pool.submit(one, names) for names in shards if names]:
            job.result()
