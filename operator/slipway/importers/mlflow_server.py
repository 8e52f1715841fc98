"""An MLflow server, read over its REST API: models, versions, runs, files. Nothing of MLflow is installed for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from slipway.importers.errors import ImportFailed
from slipway.registry.errors import UnsafePath
from slipway.registry.names import check_path

PAGE = 100
TIMEOUT = httpx.Timeout(30.0, read=120.0)
MAX_FILES = 1000
_PROXIED = "mlflow-artifacts"


@dataclass(frozen=True)
class Auth:
    """As MLflow's client is given it: ``MLFLOW_TRACKING_TOKEN``, or a user name and password."""

    token: str = ""
    username: str = ""
    password: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Auth:
        names = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
        return cls(*(environment.get(name, "") for name in names))


class MlflowServer:
    """At `url`, ``http://host:5000``. A context manager. Calls raise ImportFailed."""

    def __init__(self, url: str, auth: Auth | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ImportFailed(f"{url[:200]!r} is no address of an MLflow server: write http://host:5000")
        auth = auth or Auth()
        headers = {"Authorization": f"Bearer {auth.token}"} if auth.token else {}
        basic = (auth.username, auth.password) if auth.username and not auth.token else None
        self.url = url.rstrip("/")
        self._http = httpx.Client(headers=headers, auth=basic, timeout=TIMEOUT, transport=httpx.HTTPTransport(retries=2))

    def __enter__(self) -> MlflowServer:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.close()

    def models(self) -> Iterator[dict[str, Any]]:
        """Registered models as the API gives them."""
        yield from self._pages("registered-models/search", "registered_models", {})

    def versions(self, name: str) -> list[dict[str, Any]]:
        """All versions of a model that are ready, oldest first."""
        wanted = f"name='{name}'" if "'" not in name else f'name="{name}"'
        found = list(self._pages("model-versions/search", "model_versions", {"filter": wanted}))
        return sorted((one for one in found if one.get("status", "READY") == "READY"), key=lambda one: int(one["version"]))

    def run(self, run_id: str) -> dict[str, Any]:
        """A run's info and data; empty for a version that has none, or whose run was deleted."""
        if not run_id:
            return {}
        answer = self._http.get(f"{self.url}/api/2.0/mlflow/runs/get", params={"run_id": run_id})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        found: dict[str, Any] = self._json(answer).get("run", {})
        return found

    def download_uri(self, name: str, version: str) -> str:
        answer = self._get("model-versions/get-download-uri", {"name": name, "version": version})
        return str(answer.get("artifact_uri", ""))

    def files(self, uri: str) -> dict[str, int | None]:
        """Paths of the files under an artifact URI that the server hands out itself, with their size. Raises ImportFailed for
        one that lies elsewhere."""
        root = self._root(uri)
        found: dict[str, int | None] = {}
        folders = [""]
        while folders:
            folder = folders.pop()
            path = f"{root}/{folder}".rstrip("/")
            answer = self._json(self._http.get(f"{self.url}/api/2.0/mlflow-artifacts/artifacts", params={"path": path}))
            for entry in answer.get("files", ()):
                inner = _checked(f"{folder}/{entry['path']}".lstrip("/"))
                if entry.get("is_dir"):
                    folders.append(inner)
                else:
                    found[inner] = int(entry["file_size"]) if entry.get("file_size") is not None else None
                if len(found) > MAX_FILES:
                    raise ImportFailed(f"{uri} holds more than {MAX_FILES} files")
        return found

    def fetch(self, uri: str, path: str, dest: Path) -> Path:
        """Downloads a file to `dest`."""
        address = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{quote(f'{self._root(uri)}/{path}')}"
        dest.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._http.stream("GET", address) as answer, dest.open("wb") as out:
                if answer.is_error:
                    answer.read()
                    self._json(answer)
                for piece in answer.iter_bytes(1 << 20):
                    out.write(piece)
        except httpx.HTTPError as error:
            raise ImportFailed(f"{address}: {type(error).__name__}: {error}") from error
        return dest

    @staticmethod
    def _root(uri: str) -> str:
        parts = urlsplit(uri)
        if parts.scheme != _PROXIED:
            raise ImportFailed(
                f"its files lie at {uri[:200]}, which the server does not hand out: start it with --serve-artifacts, "
                "or pull them there and use slipway model register"
            )
        return parts.path.strip("/")

    def _pages(self, call: str, field: str, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            answer = self._get(call, {**params, "max_results": PAGE, **({"page_token": token} if token else {})})
            yield from answer.get(field, ())
            token = answer.get("next_page_token") or ""
            if not token:
                return

    def _get(self, call: str, params: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._json(self._http.get(f"{self.url}/api/2.0/mlflow/{call}", params=params))
        except httpx.HTTPError as error:
            raise ImportFailed(f"{self.url}: {type(error).__name__}: {error}") from error

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_error:
            words = body.get("message", "") if isinstance(body, dict) else answer.text
            raise ImportFailed(f"{answer.request.url.copy_with(query=None)} answers {answer.status_code}: {str(words)[:300]}")
        if not isinstance(body, dict):
            raise ImportFailed(f"{answer.request.url.copy_with(query=None)} does not answer in JSON: is this an MLflow server?")
        return body


def _checked(path: str) -> str:
    try:
        return str(check_path(path))
    except UnsafePath as error:
        raise ImportFailed(f"the server lists an unsafe path: {error}") from error
