"""Python packages that the user asks for: gathered from spec and source, and resolved for the base image's Python."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from slipway.images import contract, uv, wheels
from slipway.images.errors import ImageError
from slipway.images.runtime import Runtime
from slipway.images.wheels import locked, normalised
from slipway.registry.errors import UnsafePath
from slipway.registry.names import check_path

FILE = "requirements.txt"
_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)(?:\s+|=|(?<=-r))(?P<path>\S+)$")
_HASH = re.compile(r"\s--hash[= ](sha256:[0-9a-f]{64})")
_LOCAL = re.compile(r"^(\.{0,2}/|[A-Za-z]:|file:)|@\s*(file:|\.{0,2}/)|^[^\s;@]+\.(whl|zip|tar\.gz|tgz)\b")
_VERSION_CONTROL = re.compile(r"(^|@\s*)(git|hg|svn|bzr)\+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNREACHABLE = ("request failed after", "failed to fetch", "error sending request", "connect error", "no answer from the package")
_NO_WHEEL = ("has no wheels", "have no wheels", "no usable wheels", "building from source is disabled", "only-binary")
_MALFORMED = ("couldn't parse requirement", "failed to parse", "not a valid", "invalid requirement")


class RequirementsInvalid(ImageError):
    """A line that is no requirement, or one that app builds do not take."""

    reason = contract.REQUIREMENTS_INVALID


class RequirementsUnsatisfiable(ImageError):
    """No set of versions fits."""

    reason = contract.REQUIREMENTS_UNSATISFIABLE


class WheelMissing(ImageError):
    """A package that is there only for another platform or Python, or only as source."""

    reason = contract.WHEEL_MISSING


class IndexUnavailable(ImageError):
    """The package index does not answer."""

    reason = contract.INDEX_UNAVAILABLE


def gather(asked: Sequence[str], source: Path) -> tuple[str, ...]:
    """The requirement lines of spec and of ``requirements.txt`` in the source, sorted, without comments; files included by
    ``-r`` count. Raises RequirementsInvalid."""
    lines = [_checked(line.strip(), f"requirements[{number}]") for number, line in enumerate(asked) if line.strip()]
    if (source / FILE).is_file():
        lines += _of_file(PurePosixPath(FILE), source, seen=set())
    return tuple(sorted(set(lines)))


def _of_file(name: PurePosixPath, source: Path, seen: set[PurePosixPath]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    try:
        text = (source / name).read_text("utf-8")
    except FileNotFoundError as error:
        raise RequirementsInvalid(f"{name}: there is no such file in the source") from error
    except UnicodeDecodeError as error:
        raise RequirementsInvalid(f"{name} is not UTF-8: write it anew as UTF-8") from error
    text = text.removeprefix("\ufeff").replace("\\\r\n", " ").replace("\\\n", " ")
    for number, raw in enumerate(text.splitlines(), 1):
        line = " ".join(_COMMENT.sub("", raw).split())
        where = f"{name} line {number}"
        include = _INCLUDE.fullmatch(line)
        if include:
            yield from _of_file(_included(include["path"], name, where), source, seen)
        elif line:
            yield _checked(line, where)


def _included(path: str, of: PurePosixPath, where: str) -> PurePosixPath:
    parts: list[str] = list(of.parent.parts)
    for part in PurePosixPath(path).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    try:
        return check_path("/".join(parts))
    except UnsafePath as error:
        raise RequirementsInvalid(f"{where}: -r {path} leads out of the source: put the file into it") from error


def _checked(line: str, where: str) -> str:
    if line.startswith("-"):
        option = line.split()[0].partition("=")[0]
        raise RequirementsInvalid(
            f"{where}: the option {option} is not taken: package indexes are a setting of the installation (packageIndexUrl), "
            "and wheels that lie in the source are found by themselves"
        )
    if _VERSION_CONTROL.search(line):
        raise RequirementsInvalid(f"{where}: {_short(line)}: packages from version control are not built here: give a wheel")
    if _LOCAL.search(line):
        raise RequirementsInvalid(
            f"{where}: {_short(line)} is a path: put the wheel into the source and write the package's name and version instead"
        )
    return line


def _short(line: str) -> str:
    return repr(uv.shortened(line)[:100])


def own_wheels(source: Path) -> tuple[Path, ...]:
    """Folders of the source that hold wheels: its top and ``wheels/``. They are looked at before any index."""
    return tuple(folder for folder in (source, source / "wheels") if any(folder.glob("*.whl")))


def resolve(
    lines: Sequence[str],
    runtime: Runtime,
    *,
    work: Path,
    environ: Mapping[str, str],
    own: Sequence[Path] = (),
    sdists: bool = False,
) -> tuple[str, ...]:
    """The packages that have to be added to the base: ``name==version --hash=sha256:…`` lines, sorted. What the base holds
    stays at its version. `own` are folders with wheels; what they and the base hold needs no index.

    Raises RequirementsInvalid, RequirementsUnsatisfiable, WheelMissing, IndexUnavailable."""
    wanted, constraints = work / "requirements.in", work / "base.txt"
    wanted.write_text("".join(f"{_HASH.sub('', line)}\n" for line in lines), "utf-8")
    constraints.write_text("".join(f"{package}\n" for package in runtime.packages), "utf-8")
    common = [*target_options(runtime), "--constraint", str(constraints), str(wanted)]
    offline = ""
    if own or _names(lines) <= {package.partition("==")[0] for package in runtime.packages}:
        stubs = work / "base-wheels"
        wheels.write_stubs(runtime.packages, stubs)
        try:
            found = _compile([*common, "--no-index", *wheel_options((*own, stubs), sdists=sdists)], work, environ)
            return tuple(sorted(_as_asked([line for line in found if not runtime.has(line)], lines)))
        except uv.UvFailed as error:
            offline = error.words
    try:
        found = _compile([*common, *wheel_options(own, sdists=sdists)], work, environ)
    except uv.UvFailed as error:
        raise explained(error.words, runtime, offline if own else "") from error
    return tuple(sorted(_as_asked([line for line in found if not runtime.has(line)], lines)))


def _compile(arguments: Sequence[str], work: Path, environ: Mapping[str, str]) -> list[str]:
    words = ["pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--python", sys.executable]
    joined = uv.run([*words, *arguments], environ=environ, cwd=work).stdout.replace("\\\n", " ")
    lines = (" ".join(line.split()) for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def _names(lines: Sequence[str]) -> set[str]:
    return {normalised(match.group()) if (match := _NAME.match(line)) else line for line in lines}


def target_options(runtime: Runtime) -> list[str]:
    """What tells uv the Python and platform of the image."""
    return ["--python-version", runtime.python_version, "--python-platform", runtime.wheel_platform]


def wheel_options(own: Sequence[Path], *, sdists: bool) -> list[str]:
    """Where uv finds wheels beside the index, and whether it may build them."""
    return find_links(own) + ([] if sdists else ["--only-binary", ":all:"])


def find_links(own: Sequence[Path]) -> list[str]:
    """As options of uv."""
    return [option for folder in own for option in ("--find-links", str(folder))]


def digests(own: Sequence[Path]) -> set[str]:
    """``sha256:…`` of each wheel in these folders."""
    found = set()
    for path in (path for folder in own for path in folder.glob("*.whl")):
        with path.open("rb") as reader:
            found.add(f"sha256:{hashlib.file_digest(reader, 'sha256').hexdigest()}")
    return found


def covers(own: Sequence[Path], lock: Sequence[str]) -> bool:
    """Whether every package of a lock is among these wheels, so that no index is needed."""
    here = digests(own)
    return all(here & set(_HASH.findall(line)) for line in lock)


def _as_asked(locks: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    """The lines of a lock, with hashes that the user gave himself as the only ones. Raises RequirementsUnsatisfiable."""
    given = {
        normalised(name.group()): set(_HASH.findall(line)) for line in lines if (name := _NAME.match(line)) and _HASH.search(line)
    }
    for lock in locks:
        package = locked(lock)
        allowed = given.get(package.name) if package else None
        if not allowed:
            yield lock
            continue
        kept = sorted(allowed & set(_HASH.findall(lock)))
        if not kept:
            raise RequirementsUnsatisfiable(
                f"{package}: the index has no file with any of the {len(allowed)} hashes given for it"
            )
        yield " ".join([_HASH.sub("", lock), *(f"--hash={value}" for value in kept)])


def explained(words: str, runtime: Runtime, offline: str = "") -> ImageError:
    """The error that uv's words stand for. `offline`: what it said of the wheels in the source alone."""
    lower = words.lower()
    if any(text in lower for text in _MALFORMED) and "no solution" not in lower:
        return RequirementsInvalid(words)
    target = f"Python {runtime.python_version} on {runtime.platform}"
    if "no solution found" in lower or "unsatisfiable" in lower:
        if any(text in lower for text in _NO_WHEEL):
            return WheelMissing(f"for {target}: {words}")
        return RequirementsUnsatisfiable(f"for {target}, beside what the base image holds: {words}")
    if any(text in lower for text in _UNREACHABLE):
        alone = f"From the wheels in the source alone: {offline}. " if offline else ""
        return IndexUnavailable(
            f"the Python package index does not answer: {words}. {alone}Where pods cannot reach it, set the chart value "
            "packageIndexUrl to one that they reach, or put the wheels into the source"
        )
    if any(text in lower for text in _NO_WHEEL):
        return WheelMissing(f"for {target}: {words}")
    return ImageError(f"the requirements could not be resolved: {words}")
