"""The service as a process."""

from __future__ import annotations

import signal
import sys

import uvicorn

from slipway.registry.registry import Registry
from slipway.web.app import application
from slipway.web.settings import WebOptions


class _Server(uvicorn.Server):
    """Says where it listens, once it does: the port may have been any free one."""

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]  # narrower for us
        await super().startup(sockets)  # type: ignore[arg-type]
        for server in getattr(self, "servers", ()):
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                print(f"http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)


def serve(registry: Registry, options: WebOptions, public_keys: str = "") -> int:
    """Serves until a signal, and gives the process's exit code. Raises KeyInvalid."""
    app = application(registry, options, public_keys)
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="*" if options.public_url else None,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises a signal again once it has ended well; that must not become the exit code.
        signal.signal(number, lambda *_: None)
    try:
        server.run()
    except SystemExit:
        print(f"error: {options.host}:{options.port} cannot be listened on", file=sys.stderr)
        return 1
    return 0
