"""A Git repository to write commits to, and a server on loopback that gives it out over http."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

_WHO = b"Ada <ada@example.com>"
EXECUTABLE, LINK, SUBMODULE = 0o100755, 0o120000, 0o160000


class Repository:
    """A bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path = path
        self.repo = Repo.init_bare(str(path), default_branch=b"main")
        self._time = 1_700_000_000

    def commit(self, files: Mapping[str, bytes | tuple[int, bytes]], branch: str = "main") -> str:
        """Commits `files` (content, or mode and content) as the whole tree of a branch. Gives its 40 digits."""
        self._time += 1
        commit = Commit()
        ref = f"refs/heads/{branch}".encode()
        commit.tree = self._tree(files)
        commit.parents = [self.repo.refs[ref]] if ref in self.repo.refs else []
        commit.author = commit.committer = _WHO
        commit.author_time = commit.commit_time = self._time
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"message"
        self.repo.object_store.add_object(commit)
        self.repo.refs[ref] = commit.id  # type: ignore[index]
        return commit.id.decode()

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        target = commit.encode()
        if annotated:
            tag = Tag()
            tag.name, tag.tagger, tag.message = name.encode(), _WHO, b"release"
            tag.tag_time, tag.tag_timezone = self._time, 0
            tag.object = (Commit, target)  # type: ignore[assignment]
            self.repo.object_store.add_object(tag)
            target = tag.id
        self.repo.refs[f"refs/tags/{name}".encode()] = target  # type: ignore[index, assignment]

    def _tree(self, files: Mapping[str, bytes | tuple[int, bytes]]) -> bytes:
        tree = Tree()
        folders: dict[str, dict[str, bytes | tuple[int, bytes]]] = {}
        for path, content in files.items():
            folder, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(folder, {})[rest] = content
                continue
            mode, data = content if isinstance(content, tuple) else (0o100644, content)
            if mode == SUBMODULE:
                tree.add(path.encode(), mode, data)
                continue
            blob = Blob.from_string(data)
            self.repo.object_store.add_object(blob)
            tree.add(path.encode(), mode, blob.id)
        for folder, inner in folders.items():
            tree.add(folder.encode(), 0o040000, self._tree(inner))
        self.repo.object_store.add_object(tree)
        return tree.id


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return None


@contextmanager
def git_http(repositories: Mapping[str, Repository]) -> Iterator[str]:
    """Serves `repositories` by path (``/code.git``). Gives the base URL."""
    backend = DictBackend({path: one.repo for path, one in repositories.items()})  # type: ignore[misc]
    server = make_server("127.0.0.1", 0, make_wsgi_chain(backend), server_class=WSGIServer, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
