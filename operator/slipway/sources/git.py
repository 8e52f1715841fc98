"""Git repositories over the network: what a ref points at, and the files of one commit. On dulwich, without a git binary.

A user's own Git configuration is never read, and only schemes that name a server are taken.
"""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from slipway.sources.errors import SourceInvalid, SourceMissing, SourceUnavailable
from slipway.sources.tree import TreeWriter
from slipway.storage.keys import redact

if TYPE_CHECKING:
    from dulwich.client import GitClient
    from dulwich.objects import ObjectID
    from dulwich.refs import Ref
    from dulwich.repo import Repo

T = TypeVar("T")

DEFAULT_TIMEOUT = 20.0
FETCH_TIMEOUT = 600.0
_SCHEMES = ("https", "http", "git", "ssh")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
_SCP = re.compile(r"(?:[^@/\s]+@)?[^:/\s]+:(?!//)[^\s]+")


def check_url(url: str, *, allow_file: bool = False) -> str:
    """`url` when it names a repository that may be fetched. Raises SourceInvalid."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        if _SCP.fullmatch(url):
            host, _, path = url.partition(":")
            raise SourceInvalid(f"git url {url!r}: write ssh://{host}/{path.lstrip('/')}, or an https:// URL")
        raise SourceInvalid(f"git url {redact(url)!r} has no scheme: write https://host/path.git")
    allowed = (*_SCHEMES, "file") if allow_file else _SCHEMES
    if scheme not in allowed:
        raise SourceInvalid(f"git url {redact(url)!r}: scheme {scheme!r} is not allowed, only {', '.join(allowed)}")
    authority = rest.partition("/")[0]
    if ":" in authority.rpartition("@")[0]:
        raise SourceInvalid(f"git url {redact(url)!r} holds a password, which everybody could read: leave it out")
    if scheme != "file" and (not authority.rpartition("@")[2] or authority.startswith("-")):
        raise SourceInvalid(f"git url {url!r} names no host: write {scheme}://host/path.git")
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise SourceInvalid(f"git url {url!r} holds white space or a control character")
    return url


def find_commit(url: str, ref: str, *, timeout: float = DEFAULT_TIMEOUT, allow_file: bool = False) -> str:
    """The commit (40 hex) that `ref` names at `url` now; an empty one means the default branch. A full commit is taken
    as it is, without asking. Raises SourceMissing, SourceInvalid, SourceUnavailable."""
    check_url(url, allow_file=allow_file)
    if _COMMIT.fullmatch(ref):
        return ref

    def ask() -> dict[bytes, bytes | None]:
        with _errors(url):
            client, path = _client(url, timeout)
            refs: dict[bytes, bytes | None] = {bytes(name): sha for name, sha in client.get_refs(path.encode()).refs.items()}
            return refs | _peeled(path, refs) if url.startswith("file:") else refs

    refs = _within(timeout, ask, url)
    for name in _candidates(ref):
        peeled = refs.get(name + b"^{}") or refs.get(name)
        if peeled:
            return peeled.decode()
    if not ref:
        raise SourceMissing(f"git repository {url} is empty, or has no default branch: give a ref")
    if _ABBREVIATED.fullmatch(ref):
        raise SourceInvalid(f"git ref {ref!r} looks like an abbreviated commit: give all 40 digits")
    raise SourceMissing(f"git repository {url} has no branch or tag {ref!r}{_known(refs)}")


def write_commit(
    url: str,
    commit: str,
    writer: TreeWriter,
    *,
    ref: str = "",
    path: str = "",
    timeout: float = FETCH_TIMEOUT,
    allow_file: bool = False,
) -> None:
    """Writes the files of one commit (below the folder `path`) with `writer`. Only this commit is fetched where the
    server allows that, else the history of `ref`. Git names content by its hash, so what is written is what was pinned.
    Raises SourceMissing, SourceInvalid, SourceUnavailable."""
    check_url(url, allow_file=allow_file)
    with TemporaryDirectory(prefix="slipway-git-") as folder:
        from dulwich.repo import Repo

        with Repo.init_bare(folder) as repo:

            def get() -> None:
                with _errors(url):
                    _fetch(repo, url, commit, ref, timeout)

            _within(timeout, get, url)
            _write_tree(repo, _subtree(repo, url, commit, path), writer)


def _client(url: str, timeout: float) -> tuple[GitClient, str]:
    from dulwich.client import get_transport_and_path
    from dulwich.config import ConfigDict

    config = ConfigDict()
    config.set((b"http",), b"timeout", str(timeout).encode())
    return get_transport_and_path(url, config=config, quiet=True)


def _fetch(repo: Repo, url: str, commit: str, ref: str, timeout: float) -> None:
    from dulwich.errors import GitProtocolError
    from dulwich.objects import ObjectID

    wanted = ObjectID(commit.encode())
    client, path = _client(url, timeout)

    def only_it(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
        return [wanted]

    try:
        client.fetch(path.encode(), repo, determine_wants=only_it, depth=1)
        if wanted in repo.object_store:
            return
    except (GitProtocolError, KeyError, AssertionError):
        pass  # a server that gives only what a ref points at

    names = _candidates(ref) if ref else []

    def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
        chosen = [sha for name, sha in refs.items() if sha and name in names]
        return chosen or [sha for name, sha in refs.items() if sha and not name.endswith(b"^{}")]

    client, path = _client(url, timeout)
    client.fetch(path.encode(), repo, determine_wants=wants)
    if wanted not in repo.object_store:
        raise SourceMissing(f"commit {commit} is not in {url}: was its branch rewritten, or is it of another one?")


def _candidates(ref: str) -> list[bytes]:
    if not ref:
        return [b"HEAD"]
    name = ref.encode()
    return [name] if name.startswith(b"refs/") else [b"refs/heads/" + name, b"refs/tags/" + name, b"refs/" + name]


def _peeled(path: str, refs: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    """What the annotated tags of a local repository point at: a server says that by itself."""
    from dulwich.refs import Ref as Reference
    from dulwich.repo import Repo

    with Repo(path) as repo:
        tags = [Reference(name) for name in refs if name.startswith(b"refs/tags/")]
        return {bytes(tag) + b"^{}": repo.get_peeled(tag) for tag in tags}


def _known(refs: Mapping[bytes, Any]) -> str:
    prefixes = (b"refs/heads/", b"refs/tags/")
    names = [name.split(b"/", 2)[2].decode(errors="replace") for name in sorted(refs) if name.startswith(prefixes)]
    names = [name for name in names if not name.endswith("^{}")]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f": it has {', '.join(names[:8])}{more}" if names else ": it has none"


def _subtree(repo: Repo, url: str, commit: str, path: str) -> bytes:
    """The id of the tree that is the source."""
    from dulwich.objects import Commit, Tree

    found = repo.object_store[commit.encode()]  # type: ignore[index]
    if not isinstance(found, Commit):
        raise SourceInvalid(f"{commit} in {url} is no commit")
    tree: bytes = found.tree
    for part in path.split("/") if path else []:
        entries = repo.object_store[tree]  # type: ignore[index]
        if not isinstance(entries, Tree) or part.encode() not in entries or not stat.S_ISDIR(entries[part.encode()][0]):
            raise SourceMissing(f"there is no folder {path!r} in commit {commit[:12]} of {url}")
        tree = entries[part.encode()][1]
    return tree


def _write_tree(repo: Repo, tree: bytes, writer: TreeWriter) -> None:
    links: list[tuple[str, str]] = []
    for name, mode, sha in _files(repo, tree, ""):
        if stat.S_ISLNK(mode):
            links.append((name, repo.object_store[sha].as_raw_string().decode(errors="replace")))  # type: ignore[index]
        elif mode == 0o160000:
            raise SourceInvalid(f"{name} is a submodule, which is not followed: copy its files, or leave it out")
        else:
            chunks = repo.object_store[sha].as_raw_chunks()  # type: ignore[index]
            writer.write(name, chunks, executable=bool(mode & 0o100))
    # A link may point at a link: those come in as many rounds as it takes, and what is left points outside, or in a circle.
    while links:
        later = [(name, target) for name, target in links if not writer.can_copy(name, target)]
        for name, target in links if len(later) == len(links) else [link for link in links if link not in later]:
            writer.copy_link(name, target)
        links = later


def _files(repo: Repo, tree: bytes, prefix: str) -> Iterator[tuple[str, int, bytes]]:
    for entry in repo.object_store[tree].items():  # type: ignore[index, attr-defined]
        try:
            name = prefix + entry.path.decode()
        except UnicodeDecodeError as error:
            raise SourceInvalid(f"the name {entry.path!r} below {prefix or '/'} is not UTF-8") from error
        if stat.S_ISDIR(entry.mode):
            yield from _files(repo, entry.sha, f"{name}/")
        else:
            yield name, entry.mode, entry.sha


def _within(timeout: float, call: Callable[[], T], url: str) -> T:
    """`call` in a thread of its own, because not every transport has a time-out. One that hangs is left behind."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="git", daemon=True)
    thread.start()
    thread.join(timeout)
    if failure:
        raise failure[0]
    if not outcome:
        raise SourceUnavailable(f"git server of {url}: no answer within {timeout:g} s")
    return outcome[0]


@contextmanager
def _errors(url: str) -> Iterator[None]:
    """What dulwich and urllib3 raise, as a source's errors."""
    from dulwich.client import HTTPProxyUnauthorized, HTTPUnauthorized
    from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
    from urllib3.exceptions import HTTPError

    try:
        yield
    except HTTPUnauthorized as error:
        raise SourceMissing(f"git repository {url} does not exist, or asks for a login") from error
    except NotGitRepository as error:
        raise SourceMissing(f"there is no git repository at {url}") from error
    except FileNotFoundError as error:
        if "ssh" in str(error):
            raise SourceInvalid(f"git url {url}: there is no ssh client here: use https://") from error
        raise SourceMissing(f"there is no git repository at {url}") from error
    except (HangupException, HTTPProxyUnauthorized, HTTPError, OSError) as error:
        raise SourceUnavailable(f"git server of {url} does not answer: {_plain(error)}") from error
    except GitProtocolError as error:
        text = _plain(error)
        if any(f" {status}" in text for status in (400, 403, 404, 410)):
            raise SourceMissing(f"git repository {url} is not to be had: {text}") from error
        raise SourceUnavailable(f"git server of {url}: {text}") from error


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
