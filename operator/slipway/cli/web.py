"""``slipway web``: pages and MLflow's registry API over the model registry, read-only."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import with_session
from slipway.cli.session import Session
from slipway.settings import environment


@with_session
def web(
    session: Session,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0: any free one.")] = 8090,
    public_url: Annotated[
        str, typer.Option("--public-url", metavar="URL", help="Under which clients reach it, behind a proxy.")
    ] = "",
) -> None:
    """Look at the registry in a browser, and let MLflow's client read it.

    Pages show models, versions, metrics, lineage, reports and what is deployed. MLflow's own client takes the address as its
    registry: MlflowClient(registry_uri="http://127.0.0.1:8090"). Nothing can be changed through it. It has no login: it
    listens on this machine only, unless --host says otherwise; put a proxy that knows your users before it.
    """
    from slipway.provenance.dsse import KeyInvalid
    from slipway.web.run import serve
    from slipway.web.settings import WebOptionInvalid, WebOptions

    try:
        options = WebOptions(host=host, port=port, namespace=session.namespace, public_url=public_url)
        code = serve(session.registry, options, environment().get("SLIPWAY_PUBLIC_KEYS", ""))
    except (WebOptionInvalid, KeyInvalid) as error:
        raise CliError(str(error), ExitCode.USAGE) from error
    sys.exit(code)
