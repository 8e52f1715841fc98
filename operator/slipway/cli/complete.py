"""What the shell offers while a command line is being typed. Never an error, never a long wait: a name that cannot be
had quickly is not offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from slipway.cli.session import Session
    from slipway.kube.port import Resource

Offers = Sequence[str]
SECONDS = 2.0
"""How long a server may take to answer."""
MOST = 200


def models(ctx: typer.Context, incomplete: str) -> Offers:
    """Names of models."""
    return _offer(ctx, lambda session: _models(session, incomplete))


def refs(ctx: typer.Context, incomplete: str) -> Offers:
    """Names of models; after '@' the aliases of one, after ':' its versions."""

    def offers(session: Session) -> Iterable[str]:
        name, at, _ = incomplete.partition("@")
        if at:
            return [f"{name}@{alias}" for alias in sorted(session.registry.aliases(session.model(name)))]
        name, colon, _ = incomplete.partition(":")
        if colon:
            latest = session.registry.latest(session.model(name))
            return [f"{name}:{number}" for number in range(latest, max(0, latest - MOST), -1)]
        return _models(session, incomplete)

    return _offer(ctx, offers)


def logs(ctx: typer.Context, incomplete: str) -> Offers:
    """References to versions, and builds as ``modelbuild/NAME`` or ``appbuild/NAME``."""
    kind, slash, _ = incomplete.partition("/")
    if slash and kind in ("modelbuild", "mb", "appbuild", "ab"):
        return _offer(ctx, lambda session: [f"{kind}/{name}" for name in _resources(session, kind)])
    kinds: Offers = [word for word in ("modelbuild/", "appbuild/") if word.startswith(incomplete)]
    return [*refs(ctx, incomplete), *kinds]


def builds(ctx: typer.Context) -> Offers:
    """Names of ModelBuilds; with ``--app``, of AppBuilds."""
    return _offer(ctx, lambda session: _resources(session, "ab" if ctx.params.get("app") else "mb"))


def model_builds(ctx: typer.Context) -> Offers:
    """Names of ModelBuilds."""
    return _offer(ctx, lambda session: _resources(session, "mb"))


def deployments(ctx: typer.Context) -> Offers:
    """Names of ModelDeployments."""
    return _offer(ctx, lambda session: _resources(session, "md"))


def resources(ctx: typer.Context) -> Offers:
    """Names of all kinds."""
    return _offer(ctx, lambda session: {name for kind in ("md", "mb", "ab", "fv") for name in _resources(session, kind)})


def namespaces(ctx: typer.Context) -> Offers:
    """Namespaces of the cluster."""
    from slipway.kube.resources import NAMESPACE

    return _offer(ctx, lambda session: _names(session, NAMESPACE, None))


def contexts(ctx: typer.Context) -> Offers:
    """Contexts of the kubeconfig."""

    def offers(session: Session) -> Iterable[str]:
        from slipway.cli.kubeconfig import context_names
        from slipway.settings import environment

        return context_names(session.kubeconfig, environment())

    return _offer(ctx, offers)


def _offer(ctx: typer.Context, offers: Callable[[Session], Iterable[str]]) -> Offers:
    from slipway.cli.options import session_from
    from slipway.storage import S3Options

    try:
        session = session_from(ctx)
        session.options = S3Options(connect_timeout=SECONDS, read_timeout=SECONDS, attempts=1)
        return list(offers(session))[:MOST]
    except Exception:
        return []


def _models(session: Session, incomplete: str) -> list[str]:
    namespace, slash, _ = incomplete.rpartition("/")
    found = session.registry.models(namespace if slash else session.namespace)
    return [str(name) if slash else name.model for name in found]


def _resources(session: Session, kind: str) -> list[str]:
    from slipway.cli.cluster import KINDS

    return _names(session, KINDS[kind], session.namespace)


def _names(session: Session, resource: Resource, namespace: str | None) -> list[str]:
    import asyncio

    from slipway.kube.port import Kube, Object

    async def quickly(kube: Kube) -> list[Object]:
        return await asyncio.wait_for(kube.list(resource, namespace), SECONDS)

    return sorted(item["metadata"]["name"] for item in session.cluster.run(quickly))
