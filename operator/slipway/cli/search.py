"""``slipway search``: versions by metric, parameter, tag, digest, time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from slipway.cli import complete
from slipway.cli.models import metrics_line, params_line
from slipway.cli.options import AllNamespacesOption, Listing, ListingOption, with_session
from slipway.cli.output import age, emit, moment, note, short, table
from slipway.cli.session import Session
from slipway.registry.search import Hit, SearchResult

MANY = 2000
"""Versions read one by one from which it is worth telling that an index would help."""

ExpressionArgument = Annotated[
    str,
    typer.Argument(metavar="EXPRESSION", help='As "metrics.auc > 0.99 and params.C < 1"; without one, all versions.'),
]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="Only versions of this model; repeatable.", autocompletion=complete.models),
]
OrderOption = Annotated[str, typer.Option("--order-by", metavar="[-]FIELD", help="Sort by a field; '-' for the largest first.")]


@with_session
def search(
    session: Session,
    expression: ExpressionArgument = "",
    model: ModelOption = None,
    all_namespaces: AllNamespacesOption = False,
    order_by: OrderOption = "-created",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 20,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Pass over so many first.")] = 0,
    form: ListingOption = Listing.TABLE,
) -> None:
    """Find versions by what was recorded of them, newest first.

    Fields: metrics.NAME, params.NAME, tags.NAME, packages.NAME, model, version, created, digest, format, reason, gates,
    source.commit, inputs.uri, inputs.digest, image and more. Comparisons: = != < <= > >= like in "is null", joined by and, or,
    not and parentheses. Text stands in single quotes, a time as 2026-11-03T12:00Z. What a version does not have compares with
    nothing. Versions are found as soon as they are registered, whether or not there is an index.
    """
    named = [session.model(name) for name in model] if model else None
    namespace = None if named or all_namespaces else session.namespace
    result = session.registry.search(expression, models=named, namespace=namespace, order_by=order_by, limit=limit, offset=offset)
    _remarks(result, offset)
    if form is Listing.NAME:
        for hit in result.hits:
            print(hit.ref)
    elif not form.for_people:
        emit([as_json(hit) for hit in result.hits], form)
    elif result.hits:
        now, wide = session.now(), form is Listing.WIDE
        headers = ["VERSION", "METRICS", "DIGEST", "REASON", "AGE", *(["PARAMETERS", "FORMAT", "BY"] if wide else ())]
        table(headers, [_row(hit, age(hit.created_at, now), wide=wide) for hit in result.hits])


def _row(hit: Hit, old: str, *, wide: bool) -> list[str]:
    metrics = metrics_line(hit.metrics, most=None if wide else 3)
    more = [params_line(hit.params), hit.format, hit.builder] if wide else ()
    return [hit.ref, metrics, hit.digest if wide else short(hit.digest), hit.reason, old, *more]


def as_json(hit: Hit) -> dict[str, Any]:
    """A hit as scripts read it."""
    return {
        "model": hit.model,
        "version": hit.version,
        "digest": hit.digest,
        "createdAt": moment(hit.created_at),
        "format": hit.format,
        "reason": hit.reason,
        "metrics": hit.metrics,
        "params": hit.params,
        "tags": hit.tags,
    }


def _remarks(result: SearchResult, offset: int) -> None:
    shown = offset + len(result.hits)
    for name, alike in result.unknown.items():
        note(f"No version has {name}." + (f" Did you mean {' or '.join(alike)}?" if alike else ""))
    if not result.total:
        note("No version matches.")
    elif not result.hits:
        note(f"{result.total} match, fewer than --offset {offset}.")
    elif shown < result.total:
        note(f"{len(result.hits)} of {result.total} that match; --offset {shown} shows the next.")
    if result.skipped:
        names = ", ".join(result.skipped[:3]) + (" …" if len(result.skipped) > 3 else "")
        note(f"{len(result.skipped)} records could not be read: {names}; 'slipway model show' says why.")
    if result.unindexed > MANY:
        note(f"{result.unindexed} versions were read one by one; 'slipway index update' makes the next search quick.")
