"""``slipway models`` and the reading half of ``slipway model …``: what the registry holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from slipway.cli import complete
from slipway.cli.options import AllNamespacesOption, Output, OutputOption, with_session
from slipway.cli.output import age, emit, fields, moment, note, number, plain, short, size, table
from slipway.cli.session import Session
from slipway.registry.names import ModelName
from slipway.registry.records import AliasMove, Signature, VersionRecord
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


@with_session
def models(session: Session, all_namespaces: AllNamespacesOption = False, form: OutputOption = Output.TABLE) -> None:
    """List models with their newest version and their aliases.

    Reads the registry alone: no cluster is needed.
    """
    registry = session.registry
    names = registry.models(None if all_namespaces else session.namespace)
    if form is Output.NAME:
        for name in names:
            print(name if all_namespaces else name.model)
        return
    summaries = in_parallel(lambda name: _summary(registry, name), names, 8)
    if form is not Output.TABLE:
        emit([_summary_json(*summary) for summary in summaries], form)
        return
    if not names:
        where = "" if all_namespaces else f" in namespace {session.namespace} (-A lists all)"
        note(f"There are no models{where} in {registry.store.uri}.")
        return
    rows = []
    for name, latest, aliases in summaries:
        row = [name.model, str(latest.version), _pointing(aliases), latest.format, age(latest.created_at, session.now())]
        rows.append([name.namespace, *row] if all_namespaces else row)
    headers = ["NAME", "LATEST", "ALIASES", "FORMAT", "AGE"]
    table(["NAMESPACE", *headers] if all_namespaces else headers, rows)


@with_session
def versions(
    session: Session,
    name: ModelArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 20,
    before: Annotated[int | None, typer.Option("--before", min=1, help="Only versions below this number.")] = None,
    form: OutputOption = Output.TABLE,
) -> None:
    """List the versions of a model, newest first, with aliases and metrics."""
    model = session.model(name)
    records = session.registry.versions(model, before=before, limit=limit)
    if not records and before is None:
        session.registry.get(model, 1)  # raises with the names that look like it
    if form is Output.NAME:
        for record in records:
            print(f"{record.model}:{record.version}")
    elif form is Output.TABLE:
        aliases = _by_version(session.registry.aliases(model))
        now = session.now()
        table(
            ["VERSION", "ALIASES", "DIGEST", "METRICS", "REASON", "AGE"],
            [
                [
                    str(record.version),
                    ", ".join(aliases.get(record.version, ())) or "-",
                    short(record.digest),
                    metrics_line(record.metrics, most=3),
                    record.reason,
                    age(record.created_at, now),
                ]
                for record in records
            ],
        )
    else:
        emit([plain(record) for record in records], form)


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


def metrics_line(metrics: dict[str, float], *, most: int) -> str:
    """The first metrics by name, in one line."""
    shown = [f"{name}={number(value)}" for name, value in sorted(metrics.items())[:most]]
    return ", ".join(shown) + (" …" if len(metrics) > most else "") or "-"


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


def _summary(registry: Registry, name: ModelName) -> tuple[ModelName, VersionRecord, dict[str, AliasMove]]:
    return name, registry.get(name, registry.latest(name)), registry.aliases(name)


def _summary_json(name: ModelName, latest: VersionRecord, aliases: dict[str, AliasMove]) -> dict[str, Any]:
    return {
        "model": str(name),
        "latest": latest.version,
        "digest": latest.digest,
        "format": latest.format,
        "createdAt": moment(latest.created_at),
        "aliases": {alias: move.version for alias, move in sorted(aliases.items())},
    }
