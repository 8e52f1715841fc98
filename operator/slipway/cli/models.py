"""``slipway models`` and the reading half of ``slipway model …``: what the registry holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from slipway.cli import complete
from slipway.cli.options import AllNamespacesOption, Listing, ListingOption, Output, OutputOption, with_session
from slipway.cli.output import age, emit, fields, moment, note, number, plain, short, size, table
from slipway.cli.session import Session
from slipway.registry.errors import CorruptRecord, NewerSchema
from slipway.registry.names import ModelName
from slipway.registry.records import AliasMove, Scalar, Signature, VersionRecord
from slipway.registry.registry import Registry
from slipway.storage.parallel import in_parallel

RefArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@ALIAS|:VERSION]",
        help="A version of a model; NAME alone is its highest one. NAMESPACE/NAME for another namespace.",
        autocompletion=complete.refs,
    ),
]
ModelArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A model; NAMESPACE/NAME for another namespace.", autocompletion=complete.models),
]


LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="How many at most; all without it.")]
AfterOption = Annotated[
    str | None,
    typer.Option("--after", metavar="NAME", help="Only models whose name comes after this one.", autocompletion=complete.models),
]


@with_session
def models(
    session: Session,
    all_namespaces: AllNamespacesOption = False,
    limit: LimitOption = None,
    after: AfterOption = None,
    form: ListingOption = Listing.TABLE,
) -> None:
    """List models with their newest version and their aliases.

    Reads the registry alone: no cluster is needed.
    """
    registry = session.registry
    there = registry.models(None if all_namespaces else session.namespace)
    left = there if after is None else [name for name in there if name > session.model(after)]
    names = left[:limit]
    if len(names) < len(left):
        last = str(names[-1]) if all_namespaces else names[-1].model
        note(f"{len(names)} of {len(there)} models; --after {last} shows the next.")
    if form is Listing.NAME:
        for name in names:
            print(name if all_namespaces else name.model)
        return
    summaries = in_parallel(lambda name: _summary(registry, name), names, 8)
    for one in summaries:
        if one.problem:
            note(f"{one.name} cannot be read: {one.problem}")
    if not form.for_people:
        emit([one.as_json() for one in summaries], form)
        return
    if not names:
        where = "" if all_namespaces else f" in namespace {session.namespace} (-A lists all)"
        note(f"There are no {'more ' if after else ''}models{where} in {registry.store.uri}.")
        return
    now, wide = session.now(), form is Listing.WIDE
    headers = ["NAME", "LATEST", "ALIASES", "FORMAT", "AGE", *(["METRICS", "DIGEST", "BY"] if wide else ())]
    rows = [one.row(now, wide=wide) for one in summaries]
    if all_namespaces:
        headers, rows = ["NAMESPACE", *headers], [[one.name.namespace, *row] for one, row in zip(summaries, rows, strict=True)]
    table(headers, rows)


@with_session
def versions(
    session: Session,
    name: ModelArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 20,
    before: Annotated[int | None, typer.Option("--before", min=1, help="Only versions below this number.")] = None,
    form: ListingOption = Listing.TABLE,
) -> None:
    """List the versions of a model, newest first."""
    model = session.model(name)
    page = session.registry.page(model, before=before, limit=limit)
    if not page.records and not page.unreadable and before is None:
        session.registry.get(model, 1)  # raises with the names that look like it
    for version, problem in page.unreadable.items():
        note(f"{model}:{version} cannot be read: {problem}")
    if page.before is not None:
        older = page.before - 1
        note(
            f"There {'is 1 older version' if older == 1 else f'are {older} older versions'}; --before {page.before} shows the next."
        )
    if form is Listing.NAME:
        for record in page.records:
            print(f"{record.model}:{record.version}")
    elif form.for_people:
        aliases = _by_version(session.registry.aliases(model))
        now, wide = session.now(), form is Listing.WIDE
        headers = ["VERSION", "ALIASES", "DIGEST", "METRICS", "REASON", "AGE", *(["PARAMETERS", "FORMAT", "BY"] if wide else ())]
        table(headers, [_row(record, aliases.get(record.version, ()), now, wide=wide) for record in page.records])
    else:
        emit([plain(record) for record in page.records], form)


def _row(record: VersionRecord, aliases: Sequence[str], now: datetime, *, wide: bool) -> list[str]:
    return [
        str(record.version),
        ", ".join(aliases) or "-",
        record.digest if wide else short(record.digest),
        metrics_line(record.metrics, most=None if wide else 3),
        record.reason,
        age(record.created_at, now),
        *([params_line(record.params), record.format, record.builder] if wide else ()),
    ]


@with_session
def show(session: Session, ref: RefArgument, form: OutputOption = Output.TABLE) -> None:
    """Show a version: what it is, how good, made of what. With -o json, its record as it is stored."""
    record = session.registry.resolve(session.ref(ref))
    if form is Output.NAME:
        print(f"{record.model}:{record.version}")
    elif form is Output.TABLE:
        pointing = _by_version(session.registry.aliases(record.model)).get(record.version, [])
        fields(_described(record, pointing, age(record.created_at, session.now())))
    else:
        emit(plain(record), form)


def _described(record: VersionRecord, aliases: list[str], old: str) -> list[tuple[str, str]]:
    """A version in words, as pairs of name and value."""
    source, env = record.source, record.environment
    python = " ".join(filter(None, [f"Python {env.python}" if env.python else "", env.platform, env.image]))
    known = [f"{name} {env.packages[name]}" for name in ("scikit-learn", "skl2onnx", "numpy") if name in env.packages]
    conversion = record.conversion or {}
    return [
        ("Model", f"{record.model}:{record.version}"),
        ("Aliases", ", ".join(aliases)),
        ("Digest", record.digest),
        ("Created", f"{moment(record.created_at)} ({old} ago) by {record.builder}, {record.reason}"),
        ("Format", record.format + (f" ({conversion['reason']})" if "reason" in conversion else "")),
        ("Files", "\n".join(f"{entry.path}  {size(entry.size)}" for entry in record.files)),
        ("Inputs", _tensors(record.signature, "inputs")),
        ("Outputs", _tensors(record.signature, "outputs")),
        ("Metrics", "\n".join(f"{name} {number(value)}" for name, value in sorted(record.metrics.items()))),
        ("Gates", "\n".join(f"{'passed' if gate.passed else 'FAILED'}  {gate.message}" for gate in record.gates)),
        ("Parameters", "\n".join(f"{name} = {value!r}" for name, value in sorted(record.params.items()))),
        ("Data", "\n".join(f"{i.name}  {i.uri}  {short(i.digest)}{_rows(i.rows)}" for i in record.inputs)),
        ("Source", f"{source.uri}  {source.commit or short(source.digest)}" if source else ""),
        ("Environment", ", ".join([*([python] if python else []), *known])),
        ("Reports", "\n".join(f"{entry.path}  {size(entry.size)}" for entry in record.reports)),
        ("Logs", "\n".join(f"{entry.path}  {size(entry.size)}" for entry in record.logs)),
        ("Seconds", ", ".join(f"{step} {seconds:.2f}" for step, seconds in record.timings.items())),
        ("Tags", ", ".join(f"{name}={value}" for name, value in sorted(record.tags.items()))),
        ("Build", record.build_id + (f"\nattempt {record.attempt}" if record.attempt > 1 else "")),
    ]


def metrics_line(metrics: Mapping[str, float], *, most: int | None) -> str:
    """The first metrics by name, or all, in one line."""
    shown = [f"{name}={number(value)}" for name, value in sorted(metrics.items())[:most]]
    return ", ".join(shown) + (" …" if most is not None and len(metrics) > most else "") or "-"


def params_line(params: Mapping[str, Scalar]) -> str:
    """All parameters by name, in one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(params.items())) or "-"


def _rows(rows: int | None) -> str:
    return f"  {rows} rows" if rows is not None else ""


def _tensors(signature: Signature | None, side: str) -> str:
    if signature is None:
        return ""
    tensors = signature.inputs if side == "inputs" else signature.outputs
    lines = [f"{t.name}  {t.datatype} {list(t.shape)}" for t in tensors]
    if side == "inputs" and signature.columns:
        names = ", ".join(signature.columns[:6]) + (" …" if len(signature.columns) > 6 else "")
        lines.append(f"{len(signature.columns)} columns: {names}")
    return "\n".join(lines)


def _by_version(aliases: dict[str, AliasMove]) -> dict[int, list[str]]:
    pointing: dict[int, list[str]] = {}
    for alias, move in sorted(aliases.items()):
        if move.version is not None:
            pointing.setdefault(move.version, []).append(alias)
    return pointing


def _pointing(aliases: dict[str, AliasMove]) -> str:
    return ", ".join(f"{alias}={move.version}" for alias, move in sorted(aliases.items())) or "-"


@dataclass(frozen=True)
class _Summary:
    """A model in the list. `problem`: why its newest version, or its aliases, cannot be read."""

    name: ModelName
    version: int
    latest: VersionRecord | None
    aliases: dict[str, AliasMove]
    problem: str = ""

    def row(self, now: datetime, *, wide: bool) -> list[str]:
        if self.latest is None:
            return [self.name.model, str(self.version), "?", "?", "?", *(["?"] * 3 if wide else ())]
        latest = self.latest
        more = [metrics_line(latest.metrics, most=None), latest.digest, latest.builder] if wide else ()
        return [self.name.model, str(self.version), _pointing(self.aliases), latest.format, age(latest.created_at, now), *more]

    def as_json(self) -> dict[str, Any]:
        if self.latest is None:
            return {"model": str(self.name), "latest": self.version, "problem": self.problem}
        return {
            "model": str(self.name),
            "latest": self.version,
            "digest": self.latest.digest,
            "format": self.latest.format,
            "createdAt": moment(self.latest.created_at),
            "aliases": {alias: move.version for alias, move in sorted(self.aliases.items())},
        }


def _summary(registry: Registry, name: ModelName) -> _Summary:
    latest = registry.latest(name)
    try:
        return _Summary(name, latest, registry.get(name, latest), registry.aliases(name))
    except (CorruptRecord, NewerSchema) as error:
        return _Summary(name, latest, None, {}, str(error))
