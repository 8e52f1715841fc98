"""The calls of MLflow's registry API that read. Blocking; each takes the parameters of a request and gives JSON values."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from slipway.registry.errors import CorruptRecord, InvalidName, NewerSchema, NotInRegistry
from slipway.registry.names import ModelName, check_alias, parse_version
from slipway.registry.records import VersionRecord
from slipway.registry.registry import Registry
from slipway.storage.parallel import in_parallel
from slipway.web.mlflow import filters, folder
from slipway.web.mlflow.entities import (
    ARTIFACTS,
    MODEL_ATTRIBUTES,
    VERSION_ATTRIBUTES,
    artifact_path,
    model_version,
    registered_model,
    tags_of,
    version_attributes,
)
from slipway.web.mlflow.errors import invalid, not_there
from slipway.web.mlflow.names import from_mlflow, to_mlflow

MAX_RESULTS = 1000
_PAGE = 100
Params = Mapping[str, Any]


@dataclass(frozen=True)
class RegistryApi:
    """`namespace`: whose models have bare names. `base_url`: under which clients reach this service."""

    registry: Registry
    namespace: str
    base_url: str

    def get_registered_model(self, params: Params) -> dict[str, Any]:
        return {"registered_model": self._model(self._name(params))}

    def search_registered_models(self, params: Params) -> dict[str, Any]:
        """Sorted by name; other orders are refused rather than ignored."""
        wanted = filters.parse(str(params.get("filter") or ""), MODEL_ATTRIBUTES)
        _check_order(params, ("name", "name asc"))
        after = _read_token(params)
        names = [name for name in self._names(filters.named(wanted)) if not after or to_mlflow(name, self.namespace) > after]
        page = list(islice(self._matching_models(names, wanted), _limit(params, 100) + 1))
        return self._page("registered_models", page, params, lambda model: str(model["name"]), 100)

    def get_latest_versions(self, params: Params) -> dict[str, Any]:
        """We have no stages: the newest version is the one of stage None; of other stages there is none."""
        name = self._name(params)
        stages = params.get("stages") or []
        asked = {str(stage).lower() for stage in ([stages] if isinstance(stages, str) else stages)}
        if asked and "none" not in asked:
            return {"model_versions": []}
        latest = self.registry.latest(name)
        if not latest:
            raise not_there(f"no model {name}")
        return {"model_versions": [self._version(self._record(name, latest))]}

    def get_alias(self, params: Params) -> dict[str, Any]:
        name, alias = self._name(params), str(params.get("alias", ""))
        try:
            record = self.registry.resolve(f"{name}@{check_alias(alias, reserved=False)}")
        except InvalidName as error:
            raise invalid(f"alias: {error}") from error
        except NotInRegistry as error:
            raise not_there(str(error)) from error
        return {"model_version": self._version(record)}

    def get_model_version(self, params: Params) -> dict[str, Any]:
        return {"model_version": self._version(self._wanted(params))}

    def get_download_uri(self, params: Params) -> dict[str, Any]:
        return {"artifact_uri": self._source(self._wanted(params))}

    def search_model_versions(self, params: Params) -> dict[str, Any]:
        """By name, then newest first, which is what MLflow's clients page through."""
        wanted = filters.parse(str(params.get("filter") or ""), VERSION_ATTRIBUTES)
        _check_order(params, ("name", "name asc", "version_number desc"))
        limit = _limit(params, 200)
        page = list(islice(self._matching_versions(wanted, _read_token(params)), limit + 1))
        tokens = [f"{model} {record.version}" for model, record, _ in page]
        versions = [found for _, _, found in page]
        answer: dict[str, Any] = {"model_versions": versions[:limit]}
        if len(versions) > limit:
            answer["next_page_token"] = _token(tokens[limit - 1])
        return answer

    def list_artifacts(self, path: str) -> dict[str, Any]:
        """`path`: ``namespace/model/version[/folder]``."""
        record, inner = self._of_path(path)
        found = list(folder.listing(folder.members(record), inner))
        return {
            "files": [
                {"path": one.path, "is_dir": one.is_dir, **({"file_size": one.size} if one.size is not None else {})}
                for one in found
            ]
        }

    def artifact(self, path: str) -> folder.Member:
        """Raises MlflowError for what is no file."""
        record, inner = self._of_path(path)
        member = folder.members(record).get(inner)
        if member is None:
            raise not_there(f"{record.model}:{record.version} has no file {inner!r}")
        return member

    # ---- parts ----

    def _name(self, params: Params) -> ModelName:
        text = str(params.get("name") or "")
        if not text:
            raise invalid("parameter 'name' is missing")
        try:
            return from_mlflow(text, self.namespace)
        except InvalidName as error:
            raise invalid(str(error)) from error

    def _wanted(self, params: Params) -> VersionRecord:
        try:
            number = parse_version(str(params.get("version", "")))
        except InvalidName as error:
            raise invalid(f"parameter 'version': {error}") from error
        return self._record(self._name(params), number)

    def _record(self, name: ModelName, number: int) -> VersionRecord:
        try:
            return self.registry.get(name, number)
        except NotInRegistry as error:
            raise not_there(str(error)) from error

    def _of_path(self, path: str) -> tuple[VersionRecord, str]:
        parts = path.strip("/").split("/", 3)
        if len(parts) < 3:
            raise not_there(f"{path!r}: artifacts lie under namespace/model/version")
        try:
            name, number = ModelName(parts[0], parts[1]), parse_version(parts[2])
        except InvalidName as error:
            raise not_there(str(error)) from error
        return self._record(name, number), parts[3].strip("/") if len(parts) > 3 else ""

    def _source(self, record: VersionRecord) -> str:
        return f"{self.base_url}{ARTIFACTS}/{artifact_path(record)}"

    def _version(self, record: VersionRecord) -> dict[str, Any]:
        name = ModelName.parse(record.model)
        aliases = self.registry.aliases(name)
        return model_version(record, to_mlflow(name, self.namespace), self._source(record), aliases)

    def _model(self, name: ModelName) -> dict[str, Any]:
        latest = self.registry.latest(name)
        if not latest:
            raise not_there(f"no model {name} in {self.registry.store.uri}")
        record, aliases = self._record(name, latest), self.registry.aliases(name)
        try:
            first = self.registry.get(name, 1).created_at
        except NotInRegistry:  # collected, with all that was never used
            first = record.created_at
        return registered_model(to_mlflow(name, self.namespace), first, record, self._source(record), aliases)

    def _names(self, only: Sequence[str] | None) -> list[ModelName]:
        """Models in the order of their names as MLflow's clients see them."""
        if only is None:
            names = self.registry.models()
        else:
            names = []
            for text in only:
                try:
                    name = from_mlflow(text, self.namespace)
                except InvalidName:
                    continue
                if self.registry.latest(name):
                    names.append(name)
        return sorted(set(names), key=lambda name: to_mlflow(name, self.namespace))

    def _matching_models(self, names: list[ModelName], wanted: tuple[filters.Comparison, ...]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(names), _PAGE):
            for model in in_parallel(self._readable, names[start : start + _PAGE], 8):
                if model is not None and filters.matches(wanted, model, {}):
                    yield model

    def _readable(self, name: ModelName) -> dict[str, Any] | None:
        """None where only a newer Slipway can read the newest version: the others are listed all the same."""
        try:
            return self._model(name)
        except (CorruptRecord, NewerSchema):
            return None

    def _matching_versions(
        self, wanted: tuple[filters.Comparison, ...], after: str
    ) -> Iterator[tuple[str, VersionRecord, dict[str, Any]]]:
        last_name, _, last_version = after.partition(" ")
        for name in self._names(filters.named(wanted)):
            seen = to_mlflow(name, self.namespace)
            if after and seen < last_name:
                continue
            before = int(last_version) if after and seen == last_name and last_version.isdigit() else None
            aliases = self.registry.aliases(name)
            for record in self._versions(name, before):
                source = self._source(record)
                if filters.matches(wanted, version_attributes(record, seen, source), tags_of(record)):
                    yield seen, record, model_version(record, seen, source, aliases)

    def _versions(self, name: ModelName, before: int | None) -> Iterator[VersionRecord]:
        while True:
            page = self.registry.page(name, before=before, limit=_PAGE)
            yield from page.records  # and not those that only a newer Slipway can read
            if page.before is None:
                return
            before = page.before

    def _page(self, field: str, found: list[dict[str, Any]], params: Params, key: Any, default: int) -> dict[str, Any]:
        limit = _limit(params, default)
        answer: dict[str, Any] = {field: found[:limit]}
        if len(found) > limit:
            answer["next_page_token"] = _token(key(found[limit - 1]))
        return answer


def _limit(params: Params, default: int) -> int:
    text = str(params.get("max_results") or default)
    if not text.isdigit() or not 1 <= int(text) <= 200_000:
        raise invalid(f"parameter 'max_results': {text[:20]!r} is no number from 1 to 200000")
    return min(int(text), MAX_RESULTS)


def _check_order(params: Params, known: tuple[str, ...]) -> None:
    orders = params.get("order_by") or []
    for order in [orders] if isinstance(orders, str) else orders:
        if " ".join(str(order).lower().split()) not in known:
            raise invalid(f"order_by {str(order)[:80]!r}: results come in the order {known[-1]}")


def _token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_token(params: Params) -> str:
    text = str(params.get("page_token") or "")
    try:
        return base64.urlsafe_b64decode(text.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid("parameter 'page_token': not one of ours") from error
