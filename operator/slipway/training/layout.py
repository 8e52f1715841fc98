"""Where everything lies in a training pod. These paths are the file contract (docs/training.md)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from slipway.registry.records import Digest, Document, Scalar, Signature

ROOT = Path("/slipway")
D = TypeVar("D", bound=Document)


class ModelNote(Document):
    """What `Run.save_model` knows of the model file beside it; `digest` tells whether it still is that file."""

    path: str
    digest: Digest
    format: str
    signature: Signature | None = None
    conversion: dict[str, Any] | None = None
    seconds: float = 0.0


class ChildInput(Document):
    """An input as the user's code sees it."""

    uri: str = ""
    digest: str = ""
    rows: int | None = None


class ChildTask(Document):
    """What the process that runs the user's code is to do; it sees nothing else of the request."""

    entrypoint: str
    source: str
    """The folder of the code: first on the import path, and the working directory."""
    params: dict[str, Scalar] = Field(default_factory=dict)
    inputs: dict[str, ChildInput] = Field(default_factory=dict)
    trusted_types: tuple[str, ...] = ()


class ChildFailure(Document):
    """Why the user's code ended badly, in its own process's words."""

    reason: str
    message: str


class Output:
    """The folder of results: ``model/``, ``metrics.json``, ``reports/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model = root / "model"
        self.reports = root / "reports"
        self.metrics = root / "metrics.json"
        self.note = root / "model.json"

    def make(self) -> None:
        """Makes the folders."""
        self.model.mkdir(parents=True, exist_ok=True)
        self.reports.mkdir(parents=True, exist_ok=True)

    def clear_model(self) -> None:
        """Removes the model of an earlier save."""
        self.note.unlink(missing_ok=True)
        shutil.rmtree(self.model, ignore_errors=True)
        self.model.mkdir(parents=True)

    def write_metrics(self, metrics: Mapping[str, float]) -> None:
        _replace(self.metrics, json.dumps(dict(metrics), indent=1, sort_keys=True).encode())

    def write_note(self, note: ModelNote) -> None:
        _replace(self.note, note.to_json())

    def read_note(self) -> ModelNote | None:
        """What the saver noted; None when the model was written by other means."""
        return read_document(self.note, ModelNote)


class Workspace:
    """The folder that the containers of a training pod share, ``/slipway``."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.source = root / "source"
        self.inputs = root / "inputs"
        self.params = root / "params.json"
        self.output = Output(root / "output")
        self.state = root / "state"
        """Slipway's own files: the child's task and failure, the log."""
        self.task = self.state / "task.json"
        self.failure = self.state / "failure.json"

    def clear(self) -> None:
        """Removes what an earlier attempt may have left; the root itself, a mount, stays."""
        for path in (self.source, self.inputs, self.output.root, self.state):
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
        self.params.unlink(missing_ok=True)

    def make(self) -> None:
        """Makes the folders. The results' are open to all: another container may run as another user."""
        for folder in (self.source, self.inputs, self.state):
            folder.mkdir(parents=True, exist_ok=True)
        self.output.make()
        for folder in (self.output.root, self.output.model, self.output.reports):
            folder.chmod(0o777)

    def variables(self) -> dict[str, str]:
        """The environment that tells user code where things are."""
        return {
            "SLIPWAY_PARAMS_FILE": str(self.params),
            "SLIPWAY_INPUTS_DIR": str(self.inputs),
            "SLIPWAY_OUTPUT_DIR": str(self.output.root),
            "SLIPWAY_SOURCE_DIR": str(self.source),
        }


def read_document(path: Path, kind: type[D]) -> D | None:
    """The document at `path`; None when it is missing or not one."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def regular_files(folder: Path) -> Iterator[Path]:
    """All files under `folder`, sorted by path. Raises ValueError for anything that is neither a plain file nor a
    folder: a link could lead to a file of this process, and a pipe would never end."""
    if folder.is_symlink():
        raise ValueError(f"{folder.name} is a link; write plain files")
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ValueError(f"{folder.name}/{path.relative_to(folder)} is a link or a special file; write plain files")
        if path.is_file():
            yield path


def _replace(path: Path, data: bytes) -> None:
    """Writes `data` so that a reader, or a killed writer, never leaves half of it."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(data)
    draft.replace(path)
