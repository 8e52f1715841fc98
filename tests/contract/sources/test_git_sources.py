"""Git repositories over http and from a folder: refs resolved to commits, commits written out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.registry.blobs import Blobs
from slipway.registry.records import SourceRecord
from slipway.sources.errors import SourceInvalid, SourceMissing, SourceUnavailable
from slipway.sources.fetch import fetch_source
from slipway.sources.pinned import PinnedSource
from slipway.sources.resolve import ResolvedGit, pin_git
from slipway.sources.tree import Limits
from slipway.storage import ObjectStore
from slipway.storage.memory import MemoryStore
from tests.fakes.git_server import EXECUTABLE, LINK, SUBMODULE, Repository, git_http
from tests.fakes.stores import unused_port

FILES: dict[str, bytes | tuple[int, bytes]] = {
    "train.py": b"print()",
    "pkg/sub/x.py": b"1",
    "run.sh": (EXECUTABLE, b"#!"),
    "empty": b"",
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "code.git")


@pytest.fixture(params=["http", "file"])
def url(request: pytest.FixtureRequest, repository: Repository) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{repository.path}"
        return
    with git_http({"/code.git": repository}) as base:
        yield f"{base}/code.git"


def no_stores(_bucket: str) -> ObjectStore:
    raise AssertionError("Git needs no object storage")


def fetch(found: ResolvedGit, dest: Path, limits: Limits = Limits()) -> SourceRecord:  # noqa: B008
    pinned = PinnedSource(kind="git", uri=found.pinned.url, digest=found.digest, git=found.pinned)
    return fetch_source(pinned, dest, no_stores, Blobs(MemoryStore()), limits=limits, allow_file=True)


def files_under(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pin(url: str, ref: str | None = None, path: str | None = None) -> ResolvedGit:
    return pin_git(url, ref, path, allow_file=True)


def test_refs_are_resolved_to_commits(repository: Repository, url: str) -> None:
    first = repository.commit({"a": b"1"})
    second = repository.commit({"a": b"2"})
    other = repository.commit({"a": b"3"}, branch="feature/x")
    repository.tag("v1", first)
    repository.tag("v2", second, annotated=True)
    refs = {None: second, "": second, "main": second, "feature/x": other, "refs/heads/main": second, "v1": first, "v2": second}
    assert {ref: pin(url, ref).pinned.commit for ref in refs} == refs
    assert pin(url, "refs/tags/v2").pinned.commit == second
    assert pin(url, first).pinned.commit == first


def test_a_ref_that_does_not_exist_is_named_with_those_that_do(repository: Repository, url: str) -> None:
    repository.tag("v1", repository.commit({"a": b"1"}))
    with pytest.raises(SourceMissing, match=r"has no branch or tag 'master': it has main, v1$"):
        pin(url, "master")
    with pytest.raises(SourceInvalid, match="abbreviated commit: give all 40 digits"):
        pin(url, "0123abc")


def test_an_empty_repository_is_said_to_be_so(url: str) -> None:
    with pytest.raises(SourceMissing, match="is empty, or has no default branch"):
        pin(url)


def test_the_files_of_the_commit_come_out(repository: Repository, url: str, tmp_path: Path) -> None:
    commit = repository.commit(FILES)
    found = pin(url)
    repository.commit({"train.py": b"later"})
    record = fetch(found, tmp_path / "out")
    assert files_under(tmp_path / "out") == {path: c if isinstance(c, bytes) else c[1] for path, c in FILES.items()}
    assert (record.kind, record.uri, record.commit) == ("git", url, commit)
    assert (tmp_path / "out" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out" / "train.py").stat().st_mode & 0o777 == 0o644


def test_an_old_commit_comes_out_too(repository: Repository, url: str, tmp_path: Path) -> None:
    commits = [repository.commit({"a": str(number).encode()}) for number in range(5)]
    record = fetch(pin(url, commits[1]), tmp_path / "out")
    assert files_under(tmp_path / "out") == {"a": b"1"}
    assert record.commit == commits[1]


def test_a_folder_of_the_repository_is_the_source(repository: Repository, url: str, tmp_path: Path) -> None:
    repository.commit(FILES)
    for path in ("pkg", "/pkg/", "pkg/"):
        record = fetch(pin(url, None, path), tmp_path / path.strip("/"))
        assert files_under(tmp_path / "pkg") == {"sub/x.py": b"1"}
    fetch(pin(url, None, "."), tmp_path / "all")
    assert len(files_under(tmp_path / "all")) == 4
    assert record.digest != fetch(pin(url), tmp_path / "whole").digest
    for path in ("nothing", "train.py", "pkg/nothing"):
        with pytest.raises(SourceMissing, match=f"no folder '{path}' in commit"):
            fetch(pin(url, None, path), tmp_path / "none")
    with pytest.raises(SourceInvalid, match="git path"):
        pin(url, None, "../etc")


def test_the_identity_is_commit_and_folder(repository: Repository, url: str) -> None:
    commit = repository.commit(FILES)
    assert pin(url).digest == pin(url, "main").digest == pin(url, commit).digest
    assert pin(url, None, "pkg").digest != pin(url).digest
    repository.commit({"a": b"1"})
    assert pin(url).digest != pin(url, commit).digest


def test_links_inside_become_files_and_others_are_refused(repository: Repository, url: str, tmp_path: Path) -> None:
    repository.commit({"docs/a.md": b"text", "b.md": (LINK, b"docs/a.md"), "docs/c.md": (LINK, b"../b.md")})
    fetch(pin(url), tmp_path / "out")
    assert files_under(tmp_path / "out") == {"docs/a.md": b"text", "b.md": b"text", "docs/c.md": b"text"}
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    for target in (b"/etc/passwd", b"../../etc/passwd", b"docs", b"nothing", b"bad", b"docs/../../x"):
        repository.commit({"docs/a.md": b"text", "bad": (LINK, target)})
        with pytest.raises(SourceInvalid, match=r"bad is a link to .* replace the link by a file"):
            fetch(pin(url), tmp_path / "bad")


def test_a_submodule_in_the_source_is_refused_and_elsewhere_does_no_harm(
    repository: Repository, url: str, tmp_path: Path
) -> None:
    repository.commit({"code/a.py": b"1", "vendor": (SUBMODULE, b"1" * 40)})
    with pytest.raises(SourceInvalid, match="vendor is a submodule"):
        fetch(pin(url), tmp_path / "a")
    fetch(pin(url, None, "code"), tmp_path / "b")
    assert files_under(tmp_path / "b") == {"a.py": b"1"}


def test_names_that_would_climb_are_refused(repository: Repository, url: str, tmp_path: Path) -> None:
    repository.commit({"a": b"1"})
    for name in ("..", "a\\..\\b", "bad\nname"):
        repository.commit({name: b"1"})
        with pytest.raises(SourceInvalid):
            fetch(pin(url), tmp_path / "deep" / "out")
    assert files_under(tmp_path / "deep") == {}


def test_a_repository_beyond_the_limits_is_refused(repository: Repository, url: str, tmp_path: Path) -> None:
    repository.commit({f"f{number}": b"x" * 100 for number in range(5)})
    for limits in (Limits(size=499), Limits(files=4)):
        with pytest.raises(SourceInvalid, match="more than"):
            fetch(pin(url), tmp_path / "a", limits)
    fetch(pin(url), tmp_path / "b", Limits(size=500, files=5))


def test_a_commit_that_went_is_missing(repository: Repository, url: str, tmp_path: Path) -> None:
    repository.commit({"a": b"1"})
    with pytest.raises(SourceMissing, match="commit 1111"):
        fetch(pin(url, "1" * 40), tmp_path / "out")


def test_a_repository_that_does_not_exist_is_missing(repository: Repository, tmp_path: Path) -> None:
    with git_http({"/code.git": repository}) as base, pytest.raises(SourceMissing, match=r"no git repository at|not to be had"):
        pin_git(f"{base}/other.git")
    with pytest.raises(SourceMissing, match="no git repository at"):
        pin(f"file://{tmp_path}/nothing")


def test_a_server_that_is_down_is_unavailable() -> None:
    for scheme in ("http", "git"):
        with pytest.raises(SourceUnavailable, match=r"git server of .*127\.0\.0\.1"):
            pin_git(f"{scheme}://127.0.0.1:{unused_port()}/code.git")


@pytest.mark.parametrize("scheme", ["http", "git"])
def test_a_server_that_never_answers_is_given_up(scheme: str) -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hold() -> None:
            connections = []
            server.settimeout(0.1)
            while not done.is_set():
                try:
                    connections.append(server.accept()[0])
                except TimeoutError:
                    continue
            for connection in connections:
                connection.close()

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            with pytest.raises(SourceUnavailable):
                pin_git(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/code.git", timeout=0.5)
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "has no scheme"),
        ("code.git", "has no scheme"),
        ("/srv/code.git", "has no scheme"),
        ("git@github.com:org/code.git", "write ssh://git@github.com/org/code.git"),
        ("file:///etc", "scheme 'file' is not allowed"),
        ("ext::sh -c id", "has no scheme"),
        ("ext://sh", "scheme 'ext' is not allowed"),
        ("https://user:hunter2@host/code.git", "holds a password"),
        ("https:///code.git", "names no host"),
        ("ssh://-oProxyCommand=id/x", "names no host"),
        ("https://host/a b", "white space"),
        ("https://host/a\nb", "white space"),
    ],
)
def test_a_url_that_is_none_or_dangerous_is_refused_before_anything_is_asked(url: str, words: str) -> None:
    with pytest.raises(SourceInvalid) as refusal:
        pin_git(url, "main")
    assert words in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
