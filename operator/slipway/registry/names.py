"""How models, aliases and references to them are written. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.registry.errors import InvalidDigest, InvalidName, UnsafePath

LATEST = "latest"
"""Reserved: ``NAME@latest`` is the highest version, and nobody moves it."""

MAX_VERSION = 10**12 - 1
MAX_NAMESPACE = 63
MAX_MODEL = 253
MAX_ALIAS = 63

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_ALIAS = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_VERSION_LIKE = re.compile(r"v?\d+", re.IGNORECASE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class ModelName:
    """``<namespace>/<model>``: a DNS label of at most 63 and a DNS subdomain of at most 253 characters."""

    namespace: str
    model: str

    def __post_init__(self) -> None:
        _check_label("namespace", self.namespace, self.namespace, MAX_NAMESPACE)
        if len(self.model) > MAX_MODEL:
            raise InvalidName(f"model name {_short(self.model)} is {len(self.model)} characters long, at most {MAX_MODEL}")
        for label in self.model.split("."):
            _check_label("model name", label, self.model, MAX_MODEL)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.model}"

    @classmethod
    def parse(cls, text: str, default_namespace: str | None = None) -> ModelName:
        """``namespace/model``, or ``model`` alone when there is a default namespace. Raises InvalidName."""
        namespace, slash, model = text.strip().rpartition("/")
        if slash:
            if "/" in namespace:
                raise InvalidName(f"{_short(text)} has more than one '/': write namespace/model")
            return cls(namespace, model)
        if not default_namespace:
            raise InvalidName(f"{_short(text)} has no namespace: write namespace/model")
        return cls(default_namespace, model)


@dataclass(frozen=True)
class ModelRef:
    """What a person writes for a version: ``NAME`` (the latest), ``NAME@alias`` or ``NAME:7``."""

    name: ModelName
    alias: str | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        if self.alias is not None and self.version is not None:
            raise InvalidName(f"{self.name}: give an alias or a version, not both")
        if self.alias is not None:
            check_alias(self.alias, reserved=False)
        if self.version is not None:
            check_version(self.version)

    def __str__(self) -> str:
        if self.alias is not None:
            return f"{self.name}@{self.alias}"
        return f"{self.name}:{self.version}" if self.version is not None else str(self.name)

    @classmethod
    def parse(cls, text: str, default_namespace: str | None = None) -> ModelRef:
        """Raises InvalidName, which shows the form that was meant."""
        text = text.strip()
        if "@" in text and ":" in text:
            raise InvalidName(f"{_short(text)} has both '@' and ':': write NAME@alias or NAME:version")
        if "@" in text:
            name, _, alias = text.partition("@")
            if not alias:
                raise InvalidName(f"{_short(text)} ends with '@': write NAME@alias, for example {name}@champion")
            if _VERSION_LIKE.fullmatch(alias):
                raise InvalidName(f"{_short(text)}: {alias!r} looks like a version: write {name}:{alias.lstrip('vV')}")
            return cls(ModelName.parse(name, default_namespace), alias=alias)
        name, colon, version = text.partition(":")
        parsed = ModelName.parse(name, default_namespace)
        return cls(parsed, version=parse_version(version, name)) if colon else cls(parsed)


def parse_version(text: str, name: str = "NAME") -> int:
    """A version number as written after the colon. Raises InvalidName."""
    if text.isascii() and text.isdigit() and not (len(text) > 1 and text.startswith("0")):
        return check_version(int(text))
    if _VERSION_LIKE.fullmatch(text) and text.isascii():
        raise InvalidName(f"{name}:{text}: versions are plain numbers: write {name}:{text.lstrip('vV').lstrip('0') or '1'}")
    wanted = f"write {name}:7 for a version" + (f", {name}@{text} for an alias" if _ALIAS.fullmatch(text) else "")
    raise InvalidName(f"{name}:{_short(text, quote=False)}: not a version number: {wanted}")


def check_version(version: int) -> int:
    """`version` when it can be one, 1 to 999,999,999,999. Raises InvalidName."""
    if not 1 <= version <= MAX_VERSION:
        raise InvalidName(f"version {version} is out of range: versions count from 1")
    return version


def check_alias(alias: str, *, reserved: bool = True) -> str:
    """`alias` when it is well formed: a DNS label that starts with a letter and does not look like a version.
    With `reserved`, ``latest`` is refused too. Raises InvalidName."""
    if _VERSION_LIKE.fullmatch(alias):
        raise InvalidName(f"alias {alias!r} looks like a version: choose a word, for example champion")
    if len(alias) > MAX_ALIAS:
        raise InvalidName(f"alias {_short(alias)} is {len(alias)} characters long, at most {MAX_ALIAS}")
    if not _ALIAS.fullmatch(alias):
        rule = "lower-case letters, digits and '-', a letter first, no '-' at the end"
        raise InvalidName(f"alias {_short(alias)} is not well formed: {rule}{_suggest(alias, _ALIAS)}")
    if reserved and alias == LATEST:
        raise InvalidName(f"alias {LATEST!r} is reserved for the highest version: choose another word")
    return alias


def check_digest(digest: str) -> str:
    """`digest` when it is ``sha256:<64 hex>``. Raises InvalidDigest, which says what is wrong."""
    if _DIGEST.fullmatch(digest):
        return digest
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256":
        raise InvalidDigest(f"digest {_short(digest)} does not begin with 'sha256:'")
    if len(value) != 64:
        raise InvalidDigest(f"digest {_short(digest)} has {len(value)} characters after 'sha256:', 64 are needed")
    raise InvalidDigest(f"digest {_short(digest)} holds something else than 0-9 and a-f")


def check_path(path: str) -> PurePosixPath:
    """`path` as a relative POSIX path that stays in its tree, in one spelling only. Raises UnsafePath."""
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise UnsafePath(f"path {_short(path)} is empty, absolute, or holds an empty, '.' or '..' segment")
    if "\\" in path or any(ord(c) < 32 or ord(c) == 127 for c in path):
        raise UnsafePath(f"path {_short(path)} holds a backslash or a control character")
    try:
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError as error:
        raise UnsafePath(f"path {_short(path)} is not UTF-8") from error
    if longest > 255 or len(path) > 2048:
        raise UnsafePath(f"path {_short(path)} is too long")
    return PurePosixPath(path)


def _check_label(what: str, label: str, whole: str, limit: int) -> None:
    if not whole:
        raise InvalidName(f"the {what} is empty: write namespace/model")
    if len(label) > limit:
        raise InvalidName(f"{what} {_short(whole)} is {len(label)} characters long, at most {limit}")
    if not _LABEL.fullmatch(label):
        rule = "lower-case letters, digits and '-', a letter or digit at both ends"
        raise InvalidName(f"{what} {_short(whole)} is not well formed: {rule}{_suggest(whole, _LABEL)}")


def _suggest(text: str, rule: re.Pattern[str]) -> str:
    """What was probably meant, as the end of a sentence; nothing when that cannot be told."""
    candidate = re.sub(r"[^-a-z0-9]+", "-", text.lower()).strip("-")
    return f"; perhaps {candidate!r}?" if candidate and rule.fullmatch(candidate) and len(candidate) <= 63 else ""


def _short(text: str, *, quote: bool = True) -> str:
    cut = text if len(text) <= 80 else text[:77] + "..."
    return repr(cut) if quote else cut
