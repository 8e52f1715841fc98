"""The pages for people. Each handler reads what it shows, in a thread of its own, and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from slipway.provenance.policy import Check
from slipway.provenance.verify import verify_claims
from slipway.registry.errors import CorruptRecord, NewerSchema
from slipway.registry.lineage import LineageNode
from slipway.registry.names import ModelName, ModelRef, parse_version
from slipway.registry.query import InvalidQuery
from slipway.registry.records import AliasMove, FileEntry, Pin, VersionRecord
from slipway.registry.registry import Registry
from slipway.storage.parallel import in_parallel
from slipway.web import words
from slipway.web.blobs import stream
from slipway.web.chart import plot
from slipway.web.graph import HEIGHT, WIDTH, draw
from slipway.web.security import REPORT_POLICY

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

MODELS_PER_PAGE = 50
VERSIONS_PER_PAGE = 25
PLOTTED = 100
"""Versions in the plot, the newest."""
HITS = 50
MOVES = 20
MAX_LOG = 1 << 20
_HERE = Path(__file__).parent


class NoSuchPage(LookupError):
    """The message says what is not there."""


@dataclass(frozen=True)
class Summary:
    """A model in the list. `problem`: why its newest version, or where its aliases point, cannot be read."""

    name: ModelName
    latest: VersionRecord | None
    aliases: dict[str, AliasMove]
    problem: str = ""


@dataclass
class Pages:
    """`keys`: whose signatures count where a version's provenance is shown. `clock`: the present time, UTC."""

    registry: Registry
    title: str = "Slipway"
    keys: tuple[EllipticCurvePublicKey, ...] = ()
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _templates: Environment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.policies["json.dumps_kwargs"] = {"sort_keys": False}
        filters = {name: getattr(words, name) for name in ("number", "delta", "size", "short", "moment", "iso", "value")}
        self._templates.filters.update(filters | {"age": lambda at: words.age(at, self.clock()), "part": _quoted})

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        root = str(request.scope.get("root_path", "")).rstrip("/")
        text = self._templates.get_template(template).render(title=self.title, root=root, here=request.url.path, **values)
        return HTMLResponse(text, status_code=status)

    def home(self, request: Request) -> Response:
        """Models, filtered by a part of their name."""
        wanted = request.query_params.get("q", "").strip().lower()
        names = [name for name in self.registry.models() if wanted in str(name)]
        page = positive(request, "page", 1)
        shown = names[(page - 1) * MODELS_PER_PAGE : page * MODELS_PER_PAGE]
        summaries = in_parallel(self._summary, shown, 8)
        used = _used(self.registry.pins())
        more = len(names) > page * MODELS_PER_PAGE
        return self.render(
            request, "models.html", summaries=summaries, used=used, q=wanted, page=page, more=more, total=len(names)
        )

    def search(self, request: Request) -> Response:
        """Versions for which an expression holds."""
        expression = request.query_params.get("q", "").strip()
        order = request.query_params.get("order", "").strip()
        page = positive(request, "page", 1)
        result, problem = None, ""
        if expression or order:
            try:
                extra = {"order_by": order} if order else {}
                result = self.registry.search(expression, limit=HITS, offset=(page - 1) * HITS, **extra)
            except InvalidQuery as error:
                problem = str(error)
        values = {"q": expression, "order": order, "result": result, "problem": problem, "page": page, "per_page": HITS}
        return self.render(request, "search.html", status=400 if problem else 200, **values)

    def model(self, request: Request) -> Response:
        name = self._name(request)
        before = positive(request, "before", 0) or None
        latest = self.registry.latest(name)
        if not latest:
            self.registry.resolve(ModelRef(name))  # raises with the names that look like it
        newest = self.registry.page(name, limit=PLOTTED).records
        cut = self.registry.page(name, before=before, limit=VERSIONS_PER_PAGE)
        aliases = self.registry.aliases(name)
        history = {alias: self.registry.history(name, alias, limit=MOVES) for alias in sorted(aliases)}
        refused = {alias: self.registry.refusals(name, alias)[:MOVES] for alias in self.registry.refused_aliases(name)}
        pins = [pin for pin in self.registry.pins() if any(ref.startswith(f"{name}:") for ref in pin.versions)]
        return self.render(
            request,
            "model.html",
            name=name,
            latest=latest,
            records=cut.records,
            unreadable=cut.unreadable,
            older=cut.before,
            before=before,
            aliases=aliases,
            pointing=_by_version(aliases),
            history=history,
            refused=refused,
            plot=plot(newest, aliases),
            plotted=len(newest),
            pins=pins,
            metrics=_columns(cut.records),
        )

    def version(self, request: Request) -> Response:
        record = self._record(request)
        lineage = self.registry.lineage(ModelRef(ModelName.parse(record.model), version=record.version))
        aliases = self.registry.aliases(record.model)
        return self.render(
            request,
            "version.html",
            record=record,
            name=ModelName.parse(record.model),
            pointing=_by_version(aliases).get(record.version, []),
            checks=self._checks(record),
            drawing=draw(lineage, lambda node: _link(node, record)),
            box={"width": WIDTH, "height": HEIGHT},
            others={alias: move.version for alias, move in sorted(aliases.items()) if move.version != record.version},
        )

    def compare(self, request: Request) -> Response:
        """Two versions of a model side by side: ``?a=6&b=7``."""
        name = self._name(request)
        a, b = positive(request, "a", 0), positive(request, "b", 0)
        if not (a and b):
            raise NoSuchPage("give two versions to compare: ?a=6&b=7")
        found = self.registry.diff(ModelRef(name, version=a), ModelRef(name, version=b))
        sections: dict[str, list[Any]] = {}
        for change in found.changes:
            sections.setdefault(change.section, []).append(change)
        return self.render(request, "compare.html", name=name, a=a, b=b, sections=sections)

    def deployments(self, request: Request) -> Response:
        pins = sorted(self.registry.pins(), key=lambda pin: (pin.kind, pin.namespace, pin.name))
        return self.render(request, "deployments.html", pins=[(pin, [_reference(ref) for ref in pin.versions]) for pin in pins])

    def report(self, request: Request) -> Response:
        """A report in its place: in a frame that the page does not trust."""
        record, entry = self._entry(request, lambda record: record.reports)
        return self.render(request, "report.html", record=record, name=ModelName.parse(record.model), entry=entry)

    def log(self, request: Request) -> Response:
        record, entry = self._entry(request, lambda record: record.logs)
        data = self.registry.blobs.read(entry.digest)
        text = data[-MAX_LOG:].decode("utf-8", "replace")
        cut = len(data) > MAX_LOG
        return self.render(
            request, "log.html", record=record, name=ModelName.parse(record.model), entry=entry, text=text, cut=cut
        )

    def raw(self, request: Request) -> Response:
        """Bytes that user code wrote, with an origin of nobody's."""
        _, entry = self._entry(request, lambda record: (*record.reports, *record.logs))
        return stream(self.registry, entry, {"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "private, max-age=3600"})

    def file(self, request: Request) -> Response:
        """A file of the model, or an attestation, to be saved."""
        _, entry = self._entry(request, lambda record: (*record.files, *record.attestations))
        name = quote(entry.path.rpartition("/")[2], safe="")
        return stream(self.registry, entry, {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"})

    def alias(self, request: Request) -> Response:
        """A lasting address of what an alias points at now."""
        name = self._name(request)
        record = self.registry.resolve(ModelRef(name, alias=request.path_params["alias"]))
        root = str(request.scope.get("root_path", "")).rstrip("/")
        return RedirectResponse(f"{root}/models/{name}/versions/{record.version}", status_code=302)

    # ---- parts ----

    def _summary(self, name: ModelName) -> Summary:
        try:
            return Summary(name, self.registry.get(name, self.registry.latest(name)), self.registry.aliases(name))
        except (CorruptRecord, NewerSchema) as error:
            return Summary(name, None, {}, str(error))

    def _name(self, request: Request) -> ModelName:
        return ModelName(request.path_params["namespace"], request.path_params["model"])

    def _record(self, request: Request) -> VersionRecord:
        name = self._name(request)
        return self.registry.get(name, parse_version(request.path_params["version"], str(name)))

    def _entry(
        self, request: Request, choose: Callable[[VersionRecord], tuple[FileEntry, ...]]
    ) -> tuple[VersionRecord, FileEntry]:
        record, path = self._record(request), request.path_params["path"]
        for entry in choose(record):
            if entry.path == path:
                return record, entry
        raise NoSuchPage(f"{record.model}:{record.version} has no such file: {path[:200]}")

    def _checks(self, record: VersionRecord) -> tuple[Check, ...]:
        return verify_claims(self.registry.blobs, record, self.keys)


def _by_version(aliases: dict[str, AliasMove]) -> dict[int, list[str]]:
    pointing: dict[int, list[str]] = {}
    for alias, move in sorted(aliases.items()):
        if move.version is not None:
            pointing.setdefault(move.version, []).append(alias)
    return pointing


def _columns(records: Sequence[VersionRecord], most: int = 4) -> list[str]:
    """The metrics that a table has room for, those of most versions first."""
    counts: dict[str, int] = {}
    for record in records:
        for name in record.metrics:
            counts[name] = counts.get(name, 0) + 1
    return sorted(sorted(counts, key=lambda name: (-counts[name], name))[:most])


def _used(pins: list[Pin]) -> dict[str, list[Pin]]:
    """Who uses a model, by its name."""
    used: dict[str, list[Pin]] = {}
    for pin in pins:
        for model in sorted({ref.rpartition(":")[0] for ref in pin.versions}):
            used.setdefault(model, []).append(pin)
    return used


def _reference(ref: str) -> tuple[str, str]:
    """``namespace/model:7`` as name and number."""
    name, _, number = ref.rpartition(":")
    return name, number


def _link(node: LineageNode, record: VersionRecord) -> str | None:
    """Where a node of a graph leads, without the root."""
    if node.kind == "alias":
        return f"/models/{record.model}#alias-{node.name.rpartition('@')[2]}"
    if node.kind in ("deployment", "app"):
        return "/deployments"
    return None


def positive(request: Request, name: str, default: int) -> int:
    """A whole number above 0 of the query."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) <= 12 and int(text) > 0 else default


def _quoted(path: str) -> str:
    """A path in a URL."""
    return quote(path, safe="/")
