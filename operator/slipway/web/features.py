"""The pages of the feature store: views with what was ingested, frozen training sets with what is in them."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from slipway.features import ingested
from slipway.features.definitions import FeatureView
from slipway.features.records import Ingestion, Revision
from slipway.features.snapshots import Snapshots
from slipway.features.views import Views, definition
from slipway.registry.names import ModelName
from slipway.storage.parallel import in_parallel
from slipway.web import pictures
from slipway.web.pages import NoSuchPage, Pages, positive

VIEWS_PER_PAGE = 50
INGESTIONS = 60
"""In a timeline, the newest."""
REVISIONS = 10
SNAPSHOTS = 25


@dataclass(frozen=True)
class Listed:
    """A view in the list."""

    name: ModelName
    revision: Revision
    newest: Ingestion | None


@dataclass(frozen=True)
class TrainingSets:
    """The snapshots of a name in the list."""

    name: ModelName
    latest: int


class FeaturePages:
    """Drawn by `pages`, from the same bucket."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._store = pages.registry.store
        self._views = Views(self._store)

    def home(self, request: Request) -> Response:
        """Views and training sets, filtered by a part of their name."""
        wanted = request.query_params.get("q", "").strip().lower()
        page = positive(request, "page", 1)
        names = [name for name in self._views.names() if wanted in str(name)]
        views = in_parallel(self._listed, names[(page - 1) * VIEWS_PER_PAGE : page * VIEWS_PER_PAGE], 8)
        sets = [one for one in self._training_sets() if wanted in str(one.name)]
        more = len(names) > page * VIEWS_PER_PAGE
        return self._pages.render(
            request, "features.html", views=views, sets=sets, q=wanted, page=page, more=more, total=len(names)
        )

    def view(self, request: Request) -> Response:
        """A view: what was ingested over time, and what its columns look like as of one ingestion (``?version=12``)."""
        name = self._name(request)
        revision = self._views.get(name)
        found = ingested.page(self._store, name, limit=INGESTIONS)
        chosen = self._chosen(found, positive(request, "version", 0))
        view = definition(revision)
        return self._pages.render(
            request,
            "view.html",
            name=name,
            view=view,
            revision=revision,
            revisions=self._revisions(name, revision.number),
            newest=found[0] if found else None,
            oldest=found[-1] if found else None,
            chosen=chosen,
            cards=_cards(view, chosen, found) if chosen else [],
            steps=pictures.timeline(found),
            highest=pictures.highest(found),
            shape=pictures,
            complete=1 - pictures.missing(chosen) if chosen else None,
        )

    def snapshots(self, request: Request) -> Response:
        """The newest snapshot of a name."""
        name = self._name(request)
        root = str(request.scope.get("root_path", "")).rstrip("/")
        newest = Snapshots(self._store, name).get()
        return RedirectResponse(f"{root}/features/{name}/snapshots/{newest.number}", status_code=302)

    def snapshot(self, request: Request) -> Response:
        """A frozen training set."""
        name, text = self._name(request), request.path_params["number"]
        if not (text.isascii() and text.isdigit() and 0 < len(text) <= 12):
            raise NoSuchPage(f"{name}: {text[:40]!r} is not the number of a snapshot")
        log = Snapshots(self._store, name)
        snapshot = log.get(int(text))
        return self._pages.render(
            request,
            "snapshot.html",
            name=name,
            snapshot=snapshot,
            others=log.page(limit=SNAPSHOTS),
            cards=[pictures.card(column) for column in snapshot.statistics],
            shape=pictures,
        )

    def _listed(self, name: ModelName) -> Listed:
        return Listed(name, self._views.get(name), ingested.newest(self._store, name))

    def _training_sets(self) -> list[TrainingSets]:
        """Names that have snapshots."""
        found = []
        for space in self._store.list_folders("features/"):
            for name in self._store.list_folders(f"features/{space}/"):
                latest = Snapshots(self._store, ModelName(space, name)).latest()
                if latest:
                    found.append(TrainingSets(ModelName(space, name), latest))
        return sorted(found, key=lambda one: one.name)

    def _revisions(self, name: ModelName, last: int) -> list[Revision]:
        numbers = list(range(last, max(0, last - REVISIONS), -1))
        return in_parallel(lambda number: self._views.get(name, number), numbers, 8)

    def _chosen(self, found: list[Ingestion], version: int) -> Ingestion | None:
        if not version:
            return found[0] if found else None
        for one in found:
            if one.table_version == version:
                return one
        raise NoSuchPage(f"table version {version} is not among the last {INGESTIONS} ingestions")

    def _name(self, request: Request) -> ModelName:
        return ModelName(request.path_params["namespace"], request.path_params["name"])


def _cards(view: FeatureView, chosen: Ingestion, found: list[Ingestion]) -> list[pictures.Card]:
    """A card for each feature, then for keys and times: as far as they were looked at."""
    by_name = {column.name: column for column in chosen.statistics}
    names = [*view.feature_names, *view.keys, *view.times]
    shown = [by_name[name] for name in names if name in by_name]
    return [pictures.card(one, pictures.nulls_of(found, one.name) if one.name in chosen.nulls else ()) for one in shown]
