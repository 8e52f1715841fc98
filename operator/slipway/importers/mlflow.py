"""Models, versions, metrics, parameters and aliases from an MLflow server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from slipway.importers import mlflow_names as names
from slipway.importers.errors import ImportFailed, Refused
from slipway.importers.mlflow_server import MlflowServer
from slipway.registry.errors import RegistryError
from slipway.registry.names import ModelName
from slipway.registry.records import SourceRecord, VersionDraft, VersionRecord, root_digest
from slipway.registry.registry import Registry
from slipway.training.errors import FormatRefused
from slipway.training.formats import MEDIA_TYPES, signature, sniff

PICKLE = "pickle"
Attest = Callable[[VersionDraft], VersionDraft]


@dataclass(frozen=True)
class Outcome:
    """What became of one version. `version` is ours; None when it was not taken, and `why` says why. `found`: it had been
    imported before."""

    name: str
    number: str
    model: str
    version: int | None = None
    found: bool = False
    refused: bool = False
    why: str = ""


@dataclass(frozen=True)
class Imported:
    """Everything that an import did."""

    versions: tuple[Outcome, ...] = ()
    aliases: tuple[tuple[str, int], ...] = ()
    """``namespace/model@alias`` and the version that it points at now."""
    notes: tuple[str, ...] = ()


@dataclass
class MlflowImport:
    """`rename`: our names for MLflow's. `attest` adds statements to a version; `tell` hears of each outcome."""

    server: MlflowServer
    registry: Registry
    namespace: str
    by: str
    allow_pickle: bool = False
    rename: Mapping[str, str] = field(default_factory=dict)
    attest: Attest = lambda draft: draft
    tell: Callable[[Outcome], None] = lambda _outcome: None

    def all(self, only: Iterable[str] = ()) -> Imported:
        """Imports the models named `only`, or all. A version that cannot be taken is told of and does not stop the others.
        Raises ImportFailed for a server that does not answer, and a model that is not there; the store's errors."""
        wanted = set(only)
        models = {str(model["name"]): model for model in self.server.models()}
        if missing := sorted(wanted - set(models)):
            raise ImportFailed(
                f"{self.server.url} has no model {missing[0]!r}: it has {', '.join(sorted(models)[:10]) or 'none'}"
            )
        outcomes: list[Outcome] = []
        moved: list[tuple[str, int]] = []
        notes: list[str] = []
        taken: dict[ModelName, str] = {}
        for name, model in sorted(models.items()):
            if wanted and name not in wanted:
                continue
            ours = self._name(name)
            if ours in taken:
                raise ImportFailed(f"models {taken[ours]!r} and {name!r} would both be {ours}: choose names with --name")
            taken[ours] = name
            here = [self._version(ours, version) for version in self.server.versions(name)]
            outcomes += here
            numbers = {outcome.number: outcome.version for outcome in here if outcome.version is not None}
            moved += self._aliases(ours, model, numbers, notes)
        return Imported(tuple(outcomes), tuple(moved), tuple(notes))

    def _name(self, name: str) -> ModelName:
        if name in self.rename:
            return ModelName.parse(self.rename[name], self.namespace)
        return names.model_name(name, self.namespace)

    def _version(self, model: ModelName, version: Mapping[str, Any]) -> Outcome:
        name, number = str(version["name"]), str(version["version"])
        said = Outcome(name, number, str(model))
        try:
            before = self.registry.find_build(model, names.identity(model, version))
            if before is not None:
                outcome = Outcome(name, number, str(model), before.version, found=True)
            else:
                outcome = Outcome(name, number, str(model), self._take(model, version).version)
        except (ImportFailed, RegistryError) as error:
            outcome = Outcome(said.name, said.number, said.model, refused=isinstance(error, Refused), why=str(error))
        self.tell(outcome)
        return outcome

    def _take(self, model: ModelName, version: Mapping[str, Any]) -> VersionRecord:
        name, number = str(version["name"]), str(version["version"])
        run = self.server.run(str(version.get("run_id") or ""))
        uri = self.server.download_uri(name, number)
        listed = self.server.files(uri)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            mlmodel = self._mlmodel(uri, listed, folder / "description")
            paths = names.wanted_files(listed, mlmodel)
            if not paths:
                raise ImportFailed("it has no file")
            for path in paths:
                self.server.fetch(uri, path, folder / "model" / path)
            kind, main = self._format(folder / "model", paths)
            try:
                taken = signature(main, kind)
            except FormatRefused as error:
                raise ImportFailed(str(error)) from error
            files = self.registry.blobs.put_tree(folder / "model")
        typed = tuple(
            entry.model_copy(update={"media_type": MEDIA_TYPES[kind]})
            if kind in MEDIA_TYPES and entry.path == main.relative_to(folder / "model").as_posix()
            else entry
            for entry in files
        )
        info = run.get("info", {})
        draft = VersionDraft(
            model=str(model),
            build_id=names.identity(model, version),
            reason="Imported",
            files=typed,
            format=kind,
            signature=taken,
            metrics=names.metrics(run),
            params=names.params(run),
            source=SourceRecord(
                kind="local",
                uri=f"{self.server.url}/#/models/{name}/versions/{number}",
                digest=root_digest(files),
                commit=names.run_tag(run, names.GIT_COMMIT),
            ),
            started_at=names.moment(info.get("start_time")),
            finished_at=names.moment(info.get("end_time")) or names.moment(version.get("creation_timestamp")),
            builder=f"slipway import mlflow ({self.by})",
            tags=names.tags(version.get("tags", ())) | {"mlflow.version": number, "mlflow.run": str(version.get("run_id") or "")},
        )
        return self.registry.register(self.attest(draft))

    def _mlmodel(self, uri: str, listed: Mapping[str, int | None], folder: Path) -> Mapping[str, Any]:
        if "MLmodel" not in listed:
            return {}
        path = self.server.fetch(uri, "MLmodel", folder / "MLmodel")
        try:
            found = yaml.safe_load(path.read_bytes())
        except (yaml.YAMLError, RecursionError) as error:
            raise ImportFailed(f"its MLmodel is no YAML: {str(error)[:200]}") from error
        return found if isinstance(found, dict) else {}

    def _format(self, folder: Path, paths: tuple[str, ...]) -> tuple[str, Path]:
        """The format of the model by its content, and its file. Raises Refused for a pickle, unless pickles are let in: as
        files, which nothing here loads."""
        found: list[tuple[str, Path]] = []
        for path in paths:
            try:
                kind = sniff(folder / path)
            except FormatRefused as error:
                if not self.allow_pickle:
                    words = str(error).partition(":")[0]
                    raise Refused(
                        f"{words}, which runs what it holds when it is loaded: save it in MLflow as ONNX or skops, or keep "
                        "its files with --allow-pickle"
                    ) from error
                kind = PICKLE
            if kind is not None:
                found.append((kind, folder / path))
        if not found:
            raise ImportFailed(f"{', '.join(paths[:3])}: neither ONNX nor skops by content")
        models = [(kind, path) for kind, path in found if kind != PICKLE] or found
        return models[0]

    def _aliases(
        self, model: ModelName, entry: Mapping[str, Any], numbers: Mapping[str, int], notes: list[str]
    ) -> list[tuple[str, int]]:
        moved = []
        for one in entry.get("aliases", ()):
            theirs, number = str(one["alias"]), str(one["version"])
            alias = names.alias_name(theirs)
            if alias is None:
                notes.append(f"alias {theirs!r} of {entry['name']!r} cannot be had here: set another with slipway alias")
            elif number not in numbers:
                notes.append(f"alias {theirs!r} of {entry['name']!r} points at version {number}, which was not imported")
            else:
                version = numbers[number]
                self.registry.move_alias(model, alias, version, by=self.by, reason=f"imported from {self.server.url}")
                moved.append((f"{model}@{alias}", version))
        return moved
