"""An image's locked packages hold all that its code imports, monitoring included: nothing is missed at the first request."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from slipway.images.project import RECIPES

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "operator"
OF_SKOPS_FILES = {"sklearn", "skops", "pandas", "scipy"}
"""What a skops model needs: its image brings it, and the server says so when it is not there."""


def locked(extras: tuple[str, ...]) -> set[str]:
    """Distributions that the lock file installs for `extras` of the project."""
    packages: dict[str, dict[str, Any]] = {one["name"]: one for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    own = packages["slipway"]
    todo = [*own["dependencies"], *(dep for extra in extras for dep in own["optional-dependencies"][extra])]
    found: set[str] = set()
    while todo:
        wanted = todo.pop()
        package = packages[wanted["name"]]
        more = [dep for extra in wanted.get("extra", ()) for dep in package["optional-dependencies"][extra]]
        if wanted["name"] not in found:
            more += package.get("dependencies", [])
        found.add(wanted["name"])
        todo += more
    return found


def imported(start: Path) -> set[str]:
    """Top-level names that the modules below `start` import, anywhere in them, and those that slipway's other modules import as
    they are imported themselves."""
    todo, seen, found = sorted(start.rglob("*.py")), set[Path](), set[str]()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in _names(ast.parse(path.read_text()), anywhere=path.is_relative_to(start)):
            if name.startswith("slipway"):
                place = PACKAGE / name.replace(".", "/")
                todo += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
            else:
                found.add(name.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def _names(node: ast.AST, *, anywhere: bool) -> list[str]:
    names: list[str] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            names += [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom) and child.module:
            names += [child.module, *(f"{child.module}.{alias.name}" for alias in child.names)]
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        elif anywhere or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            names += _names(child, anywhere=anywhere)
    return names


def test_the_serving_image_has_what_the_server_imports() -> None:
    there = {dist.lower().replace("_", "-") for dist in locked(RECIPES["slipway-serving"].extras)}
    by_module = packages_distributions()
    lacking = {
        name
        for name in imported(PACKAGE / "slipway" / "serving") - OF_SKOPS_FILES
        if not {dist.lower().replace("_", "-") for dist in by_module.get(name, ())} & there
    }
    assert lacking == set()


@pytest.mark.parametrize("module", ["opentelemetry", "arro3", "prometheus_client", "grpc", "cryptography"])
def test_tracing_payload_log_metrics_grpc_and_tls_are_in_it(module: str) -> None:
    there = locked(RECIPES["slipway-serving"].extras)
    assert {dist.lower().replace("_", "-") for dist in packages_distributions()[module]} & there


def test_what_is_large_and_not_needed_is_not_in_it() -> None:
    assert not locked(RECIPES["slipway-serving"].extras) & {"pyarrow", "pandas", "scikit-learn", "kopf", "duckdb"}
