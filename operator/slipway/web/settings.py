"""The options of `slipway web`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


class WebOptionInvalid(ValueError):
    """An option that cannot be used. The message names it and what belongs there."""


@dataclass(frozen=True)
class WebOptions:
    """How to serve. Raises WebOptionInvalid."""

    host: str = "127.0.0.1"
    port: int = 8090
    """0: any free one; the first line of output says which."""
    namespace: str = "default"
    """Whose models MLflow's clients see under their bare names."""
    public_url: str = ""
    """Under which clients reach the service, behind a proxy; ``""``: as each request says."""
    title: str = "Slipway"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise WebOptionInvalid(f"--port {self.port}: a port is a number from 0 to 65535")
        parts = urlsplit(self.public_url)
        if self.public_url and (parts.scheme not in ("http", "https") or not parts.netloc):
            raise WebOptionInvalid(f"--public-url {self.public_url[:200]!r}: write https://host[/path]")
