"""The project's own images: operator, training and serving, from a checkout, by the code that builds everybody else's.

Layers, lowest first: a Python base (`slipway.images.base`), the locked packages, and the slipway package. Packages that the
same images share are in one layer, so that a node stores them once, and a change of one image's lock leaves the others.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from slipway.images import assemble, base, bytecode, entries, uv, wheels
from slipway.images.assemble import Image, Part
from slipway.images.cache import Found, LayerCache, key_of
from slipway.images.contract import GLIBC_LABEL, PACKAGES_LABEL
from slipway.images.entries import Entry
from slipway.images.errors import ImageError
from slipway.images.interpreter import running, wheel_platform
from slipway.images.reference import Reference

FORMAT = 1
"""Raised when this module makes other layers of the same inputs."""
TITLE = "org.opencontainers.image.title"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """What makes one image different from the others."""

    name: str
    extras: tuple[str, ...]
    entrypoint: tuple[str, ...]
    """Arguments to Python."""
    ports: tuple[str, ...] = ()


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("slipway-operator", ("operator", "web"), ("-m", "slipway"), ("8080/tcp",)),
        Recipe("slipway-training", ("training", "images"), ("-m", "slipway.training")),
        Recipe("slipway-serving", ("serving", "monitoring", "online-redis"), ("-m", "slipway.serving"), ("8080/tcp",)),
    )
}


@dataclass(frozen=True)
class Built:
    """An image that was built. `fresh` names the layers that were made and not found in the cache."""

    recipe: Recipe
    image: Image
    version: str
    fresh: tuple[str, ...]
    seconds: Mapping[str, float]
    """By layer: time to make it, or to find it."""


@dataclass(frozen=True)
class Checkout:
    """The project's source tree."""

    root: Path
    version: str
    summary: str
    extras: frozenset[str] = frozenset()
    """Names of the optional dependencies that pyproject.toml has."""

    @classmethod
    def at(cls, root: Path) -> Checkout:
        """Raises ImageError when `root` is no checkout of the project."""
        try:
            project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
        except (FileNotFoundError, KeyError, tomllib.TOMLDecodeError) as error:
            raise ImageError(f"{root} is no checkout of slipway: run this in one, or name it with --project") from error
        if project.get("name") != "slipway" or not (root / "uv.lock").is_file():
            raise ImageError(f"{root} is no checkout of slipway: run this in one, or name it with --project")
        extras = frozenset(project.get("optional-dependencies", ()))
        return cls(root, str(project["version"]), str(project.get("description", "")), extras)

    @property
    def package(self) -> Path:
        """The folder of the slipway package."""
        return self.root / "operator" / "slipway"


def widened(recipe: Recipe, more: Iterable[str], checkout: Checkout) -> Recipe:
    """`recipe` with more of the project's extras. Raises ImageError."""
    wanted = tuple(extra for extra in dict.fromkeys(more) if extra not in recipe.extras)
    if unknown := [extra for extra in wanted if extra not in checkout.extras]:
        raise ImageError(f"there is no extra {unknown[0]!r}: the extras are {', '.join(sorted(checkout.extras))}")
    return replace(recipe, extras=(*recipe.extras, *wanted))


def recipes(names: Iterable[str]) -> list[Recipe]:
    """The recipes of `names` (``slipway-serving``, or ``serving`` for short), all of them for none. Raises ImageError."""
    wanted = list(dict.fromkeys(names)) or list(RECIPES)
    chosen = []
    for name in wanted:
        recipe = RECIPES.get(name) or RECIPES.get(f"slipway-{name}")
        if recipe is None:
            raise ImageError(f"there is no image {name!r}: the images are {', '.join(RECIPES)}")
        if recipe not in chosen:
            chosen.append(recipe)
    return chosen


class Builder:
    """Builds images of a checkout with the interpreter `python`, whose version is that of the images."""

    def __init__(
        self,
        checkout: Checkout,
        cache: LayerCache,
        environ: Mapping[str, str],
        *,
        python: Path | None = None,
        say: Say = lambda _line: None,
    ) -> None:
        """`environ` is what uv runs with. `say` is told of each layer that has to be made. Raises ToolMissing."""
        self._checkout, self._cache, self._environ, self._say = checkout, cache, environ, say
        self._base = base.describe(python or running())
        self._found: dict[str, Found] = {}

    def build(self, recipe: Recipe) -> Built:
        """The image of `recipe`. Raises ImageError."""
        layers = {"base": self._base_layer()}
        for number, (users, lock) in enumerate(self.package_groups(recipe), 1):
            if recipe.name in users:
                layers[f"packages {number}"] = self._packages_layer(users, lock)
        layers["application"] = self._application_layer()
        image = assemble.compose(
            [_part(name, found) for name, found in layers.items()],
            self._changes(recipe, layers.values()),
            platform=self._base.platform,
            annotations={TITLE: recipe.name, "org.opencontainers.image.version": self._checkout.version},
        )
        fresh = tuple(name for name, found in layers.items() if found.fresh)
        seconds = {name: round(found.seconds, 3) for name, found in layers.items()}
        return Built(recipe, image, self._checkout.version, fresh, seconds)

    def _changes(self, recipe: Recipe, layers: Iterable[Found]) -> assemble.Changes:
        packages = sorted({name for found in layers for name in found.record.facts.get("packages", ())})
        return assemble.Changes(
            environment={**self._base.environment, "ORT_DISABLE_TELEMETRY": "1"},
            labels={
                PACKAGES_LABEL: " ".join(packages),
                GLIBC_LABEL: self._base.glibc,
                TITLE: recipe.name,
                "org.opencontainers.image.version": self._checkout.version,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
            entrypoint=(self._base.python, *recipe.entrypoint),
            user=f"{base.USER_ID}:{base.USER_ID}",
            working_dir="/",
            exposed_ports=recipe.ports or None,
        )

    # ---- layers ----

    def _layer(self, title: str, key: str, make: Callable[[Path], tuple[Iterator[Entry], Mapping[str, list[str]]]]) -> Found:
        def announced(work: Path) -> tuple[Iterator[Entry], Mapping[str, list[str]]]:
            self._say(f"making the layer of {title}")
            return make(work)

        if key not in self._found:
            self._found[key] = self._cache.layer(key, announced)
        return self._found[key]

    def _base_layer(self) -> Found:
        return self._layer(
            f"Python {self._base.interpreter.version}",
            key_of("base", self._base.fingerprint),
            lambda work: (base.layer_entries(self._base, work), {}),
        )

    def _packages_layer(self, users: tuple[str, ...], lock: str) -> Found:
        platform = wheel_platform(self._base.platform, self._base.glibc)
        prefix = self._base.interpreter.packages

        def make(work: Path) -> tuple[Iterator[Entry], Mapping[str, list[str]]]:
            target = work / "packages"
            uv.install(
                lock,
                target,
                work=work,
                environ=self._environ,
                python_version=self._base.interpreter.version,
                platform=platform,
            )
            wheels.tidy(target)
            names = [str(package) for package in wheels.installed(target)]
            python = self._base.interpreter.executable
            return wheels.layer_entries(target, prefix, work, python=python, trim=True), {"packages": names}

        names = ", ".join(name.removeprefix("slipway-") for name in users)
        key = key_of("packages", FORMAT, lock, platform, self._base.interpreter.version, prefix)
        return self._layer(f"packages for {names}", key, make)

    def _application_layer(self) -> Found:
        package, prefix = self._checkout.package, self._base.interpreter.packages
        sources = _sources(package)
        digest = hashlib.sha256()
        for name in sources:
            data = (package / name).read_bytes()
            digest.update(f"{name} {len(data)}\n".encode() + data)
        key = key_of("application", FORMAT, digest.hexdigest(), self._checkout.version, self._base.interpreter.version, prefix)

        def make(work: Path) -> tuple[Iterator[Entry], Mapping[str, list[str]]]:
            return self._application(sources, f"{prefix}/slipway", work), {}

        return self._layer("slipway itself", key, make)

    def _application(self, sources: Sequence[str], prefix: str, work: Path) -> Iterator[Entry]:
        package, version = self._checkout.package, self._checkout.version
        for name in sources:
            yield entries.file(f"{prefix}/{name}", package / name, entries.FILE_MODE)
        out = work / "bytecode"
        out.mkdir()
        modules = [name for name in sources if name.endswith(".py")]
        bytecode.compile_files(package, modules, prefix, out, python=self._base.interpreter.executable)
        yield from entries.tree(out, prefix)
        info = f"{prefix}-{version}.dist-info"
        summary = f"Summary: {self._checkout.summary}\n" if self._checkout.summary else ""
        yield entries.text(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: slipway\nVersion: {version}\n{summary}")
        yield entries.text(f"{info}/INSTALLER", "slipway images\n")
        licence = self._checkout.root / "LICENSE"
        if licence.is_file():
            yield entries.file(f"{info}/licenses/LICENSE", licence, entries.FILE_MODE)

    # ---- the lock ----

    def package_groups(self, recipe: Recipe) -> list[tuple[tuple[str, ...], str]]:
        """Names of the images that share a layer, and the lines of the lock that are in it. What `recipe` has beyond the image of its
        name is a layer of its own, the last one: the others are the same bytes with it or without."""
        users: dict[str, list[str]] = {}
        for usual in RECIPES.values():
            for line in self._locked(usual):
                users.setdefault(line, []).append(usual.name)
        groups: dict[tuple[str, ...], list[str]] = {}
        for line, names in users.items():
            groups.setdefault(tuple(sorted(names)), []).append(line)
        found = sorted((names, "\n".join(sorted(lines)) + "\n") for names, lines in groups.items())
        if more := sorted(set(self._locked(recipe)) - {line for line, names in users.items() if recipe.name in names}):
            found.append(((recipe.name,), "\n".join(more) + "\n"))
        return found

    def _locked(self, recipe: Recipe) -> list[str]:
        root = self._checkout.root
        lock = hashlib.sha256((root / "uv.lock").read_bytes()).hexdigest()
        project = hashlib.sha256((root / "pyproject.toml").read_bytes()).hexdigest()
        value = self._cache.note(key_of("export", FORMAT, recipe.extras, lock, project), lambda: self._export(recipe))
        return [str(line) for line in value] if isinstance(value, list) else self._export(recipe)

    def _export(self, recipe: Recipe) -> list[str]:
        extras = [argument for extra in recipe.extras for argument in ("--extra", extra)]
        arguments = ["export", "--frozen", "--no-emit-project", "--no-dev", "--no-annotate", "--no-header", *extras]
        done = uv.run(arguments, environ=self._environ, cwd=self._checkout.root)
        joined = done.stdout.replace("\\\n", " ")
        lines = [" ".join(line.split()) for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        return sorted(lines)


def _part(name: str, found: Found) -> Part:
    return Part(found.record.descriptor, found.record.diff_id, name, found.content)


def _sources(package: Path) -> list[str]:
    """All files of the package, by their path in it."""
    found = []
    for path in package.rglob("*"):
        name = PurePosixPath(path.relative_to(package))
        if path.is_file() and "__pycache__" not in name.parts and not path.name.startswith("."):
            found.append(str(name))
    return sorted(found)


def target(push: Reference, recipe: Recipe) -> Reference:
    """Where the image of `recipe` goes below the repository prefix `push`."""
    return Reference(push.host, f"{push.repository}/{recipe.name}" if push.repository else recipe.name)
