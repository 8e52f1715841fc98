"""The Dockerfile makes the same images as `slipway images build`, as far as that can be told without Docker."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from slipway.images import base
from slipway.images.contract import GLIBC_LABEL, PACKAGES_LABEL
from slipway.images.interpreter import running
from slipway.images.project import RECIPES, Recipe

ROOT = Path(__file__).parents[3]
BY_THE_OFFICIAL_IMAGE = {"PATH", "PYTHON_VERSION", "SSL_CERT_FILE"}


@dataclass
class Stage:
    """One ``FROM … AS name`` with what it says, the stage below included."""

    name: str
    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        found = [value for kind, value in self.steps if kind == instruction]
        return found[-1] if found else ""

    def pairs(self, instruction: str) -> dict[str, str]:
        words = [word for kind, value in self.steps if kind == instruction for word in shlex.split(value)]
        return {name: value for name, _, value in (word.partition("=") for word in words)}


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    current: Stage | None = None
    for step in DockerfileParser(str(ROOT / "Dockerfile")).structure:
        if step["instruction"] == "FROM":
            parent, _, name = step["value"].partition(" AS ")
            current = Stage(name, parent, list(found[parent].steps) if parent in found else [])
            found[name] = current
        elif current is not None and step["instruction"] != "COMMENT":
            current.steps.append((step["instruction"], step["value"]))
    return found


@pytest.fixture(params=RECIPES.values(), ids=lambda recipe: recipe.name)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return request.param  # type: ignore[no-any-return]


def target(recipe: Recipe) -> str:
    return recipe.name.removeprefix("slipway-")


def test_it_starts_what_the_image_starts(recipe: Recipe, stages: dict[str, Stage]) -> None:
    stage = stages[target(recipe)]
    assert json.loads(stage.last("ENTRYPOINT")) == ["python", *recipe.entrypoint]
    assert stage.last("USER") == f"{base.USER_ID}:{base.USER_ID}"
    assert stage.last("WORKDIR") == "/"
    assert tuple(value for kind, value in stage.steps if kind == "EXPOSE") == recipe.ports


def test_it_has_the_same_environment_and_labels(recipe: Recipe, stages: dict[str, Stage]) -> None:
    stage = stages[target(recipe)]
    wanted = {**base.describe(running()).environment, "ORT_DISABLE_TELEMETRY": "1"}
    assert stage.pairs("ENV") == {name: value for name, value in wanted.items() if name not in BY_THE_OFFICIAL_IMAGE}
    labels = stage.pairs("LABEL")
    assert labels["org.opencontainers.image.title"] == recipe.name
    assert (labels[PACKAGES_LABEL], labels[GLIBC_LABEL]) == ("${PACKAGES}", "${GLIBC}")


def test_it_installs_the_locked_packages_and_nothing_else(recipe: Recipe, stages: dict[str, Stage]) -> None:
    name = target(recipe)
    copied = [value for kind, value in stages[name].steps if kind == "COPY"]
    assert copied == [f"--from={name}-complete /packages /usr/local/lib/python${{PYTHON}}/site-packages/"]
    complete = stages[f"{name}-complete"]
    assert complete.parent == f"{name}-packages"
    (install,) = [value for kind, value in complete.steps if kind == "RUN" and "uv export" in value]
    assert tuple(re.findall(r"--extra ([\w-]+)", install)) == recipe.extras
    for option in ("--frozen", "--no-dev", "--require-hashes", "--no-deps", "--only-binary :all:"):
        assert option in install


def test_the_stages_that_install_are_not_in_the_images(stages: dict[str, Stage]) -> None:
    for recipe in RECIPES.values():
        assert stages[target(recipe)].parent == "base"
    assert stages["base"].parent == stages["tools"].parent


def test_the_installer_is_the_makefiles(stages: dict[str, Stage]) -> None:
    pinned = re.search(r"UV_PIN\s*:=\s*(\S+)", (ROOT / "Makefile").read_text())
    assert pinned
    assert pinned[1] in stages["tools"].last("RUN")


def test_what_the_build_copies_is_not_ignored(stages: dict[str, Stage]) -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    used = {
        word
        for stage in stages.values()
        for kind, value in stage.steps
        if kind == "COPY" and "--from" not in value
        for word in value.split()[:-1]
    }
    assert used == kept
    assert all((ROOT / name).exists() for name in used)
