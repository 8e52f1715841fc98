"""What the operator asks image registries: which digest a tag has, and whether an image is still there. Blocking."""

from __future__ import annotations

from collections.abc import Collection

from slipway.images.reference import parse
from slipway.images.registry_client import RegistryClient
from slipway.images.transport import Options


def _options(insecure: Collection[str]) -> Options:
    """Impatient: the operator asks again by itself, and others wait for the thread."""
    return Options(insecure=frozenset(insecure), attempts=2, read_timeout=10.0)


def pin(image: str, insecure: Collection[str] = ()) -> str:
    """`image` by digest. Asks nothing when it has one. `insecure` are ``host:port`` of registries reached by plain http.
    Raises InvalidReference, NotInRegistry, RegistryDenied, RegistryUnavailable."""
    reference = parse(image)
    if reference.digest:
        return image
    with RegistryClient(_options(insecure)) as client:
        return str(client.resolve(reference))


def exists(image: str, insecure: Collection[str] = ()) -> bool:
    """Whether the manifest of `image` is in its registry. Raises as `pin`, but not NotInRegistry."""
    with RegistryClient(_options(insecure)) as client:
        return client.find(parse(image)) is not None
