"""Image references: ``host[:port]/repository[:tag][@digest]``, always with their registry."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from slipway.images.errors import InvalidReference

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
_SCHEME = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*)://")

DOCKER_HUB = "docker.io"
_HUB_API = "registry-1.docker.io"
_HUB_NAMES = frozenset({"index.docker.io", _HUB_API, "registry.hub.docker.com"})
MAX_NAME = 255


@dataclass(frozen=True)
class Reference:
    """A repository of a registry, and what in it is meant. Made by `parse`, so always well formed."""

    host: str
    """``host[:port]`` as a person writes it; ``docker.io`` for Docker Hub."""
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    @property
    def name(self) -> str:
        """``host/repository``, without tag and digest."""
        return f"{self.host}/{self.repository}"

    @property
    def api_host(self) -> str:
        """Where the registry's API is: the host, but for Docker Hub."""
        return _HUB_API if self.host == DOCKER_HUB else self.host

    @property
    def target(self) -> str:
        """What the API calls the manifest: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or "latest"

    @property
    def bare(self) -> Reference:
        """The repository alone."""
        return Reference(self.host, self.repository)

    def with_tag(self, tag: str) -> Reference:
        """The same repository at `tag`. Raises InvalidReference."""
        if not _TAG.fullmatch(tag):
            raise InvalidReference(
                f"{tag!r} is no image tag: up to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'"
            )
        return Reference(self.host, self.repository, tag=tag)

    def with_digest(self, digest: str) -> Reference:
        """The same repository at `digest`. Raises InvalidReference."""
        _check_digest(digest, digest)
        return Reference(self.host, self.repository, digest=digest)


def parse(text: str) -> Reference:
    """The reference that `text` writes. Raises InvalidReference, whose message names the fault and the fix.

    A name without a registry is refused: which registry it means differs from node to node.
    """
    given = text
    if not text or text != text.strip() or any(char.isspace() for char in text):
        raise InvalidReference(f"image reference {given!r} is empty or holds white space")
    if scheme := _SCHEME.match(text):
        raise InvalidReference(f"image reference {given!r}: leave out {scheme.group()!r}")
    text, at, digest = text.partition("@")
    if at:
        _check_digest(digest, given)
    host, slash, rest = text.partition("/")
    if not slash or not _is_host(host):
        raise InvalidReference(f"image reference {given!r} names no registry: write {_with_registry(given)}")
    _check_host(host, given)
    repository, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise InvalidReference(f"image reference {given!r}: {tag!r} is no tag (letters, digits, '_', '.', '-'; up to 128)")
    _check_repository(repository, given)
    reference = _docker_hub(Reference(host.lower(), repository, tag or None, digest or None))
    if len(reference.name) > MAX_NAME:
        raise InvalidReference(f"image reference {given[:60]!r}…: its name has more than {MAX_NAME} characters")
    return reference


def parse_repository(text: str) -> Reference:
    """A repository to push to: as `parse`, with neither tag nor digest. Raises InvalidReference."""
    reference = parse(text)
    if reference.tag or reference.digest:
        raise InvalidReference(f"{text!r} must be a repository without tag or digest: write {reference.name}")
    return reference


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine itself, where plain http is no risk."""
    name = host_name(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """``host[:port]`` without its port and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_host(text: str) -> bool:
    """Docker's rule: the first part is a registry if it could not be a folder of a repository."""
    return "." in text or ":" in text or text == "localhost" or text != text.lower()


def _check_host(host: str, given: str) -> None:
    match = _HOST.fullmatch(host)
    if not match:
        raise InvalidReference(f"image reference {given!r}: {host!r} is no host[:port]")
    port = match.group("port")
    if port is not None and not 0 < int(port) < 65536:
        raise InvalidReference(f"image reference {given!r}: there is no port {port}")
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host_name(host))
        except ValueError as error:
            raise InvalidReference(f"image reference {given!r}: {host!r} is no IPv6 address") from error


def _check_repository(repository: str, given: str) -> None:
    if _REPOSITORY.fullmatch(repository):
        return
    if not repository:
        raise InvalidReference(f"image reference {given!r} names a registry but no repository")
    if _REPOSITORY.fullmatch(repository.lower()):
        raise InvalidReference(f"image reference {given!r}: repositories are lower case: write {repository.lower()!r}")
    raise InvalidReference(
        f"image reference {given!r}: {repository!r} is no repository: parts of lower-case letters and digits, "
        "divided by '/', each with single '.', '_' or '-' inside only"
    )


def _check_digest(digest: str, given: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise InvalidReference(f"image reference {given!r}: a digest is 'sha256:' and 64 hexadecimal digits, not {digest!r}")


def _docker_hub(reference: Reference) -> Reference:
    if reference.host in _HUB_NAMES:
        reference = replace(reference, host=DOCKER_HUB)
    if reference.host == DOCKER_HUB and "/" not in reference.repository:
        reference = replace(reference, repository=f"library/{reference.repository}")
    return reference


def _with_registry(given: str) -> str:
    name = given.lstrip("/")
    path = name if "/" in name else f"library/{name}"
    return f"{DOCKER_HUB}/{path} for Docker Hub, or registry.example.com/{name} with your own registry"
