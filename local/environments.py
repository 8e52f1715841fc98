"""Virtual environments of their own, kept in the cache, for other projects that tests and benchmarks speak with: their
dependencies are many and would hold back ours."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from local.errors import CommandError, PreflightError
from local.settings import Settings
from local.shell import find, run


def need_environment(
    settings: Settings, name: str, packages: Sequence[str], after: Callable[[Path], None] = lambda _python: None
) -> Path:
    """The Python of the environment `name` with `packages`; made at the first call, which takes minutes. `after` is called
    with it once. Raises PreflightError."""
    folder = settings.cache / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python, done = folder / "bin" / "python", folder / ".ready"
    if done.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = find("uv", Path(sys.executable).parent)
    try:
        if uv:
            run([str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)])
            run([str(uv), "pip", "install", "--quiet", "--python", str(python), *packages], timeout=1800)
        else:
            run([sys.executable, "-m", "venv", str(folder)])
            run([str(python), "-m", "pip", "install", "--quiet", *packages], timeout=1800)
        after(python)
    except CommandError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise PreflightError([f"installing {' '.join(packages)} failed: {error}"]) from error
    done.touch()
    return python
