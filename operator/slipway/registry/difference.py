"""How two versions differ, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from slipway.registry.records import FileEntry, VersionRecord

Section = Literal[
    "metrics", "params", "gates", "files", "inputs", "source", "environment", "packages", "signature", "tags", "build"
]


@dataclass(frozen=True)
class Change:
    """One difference. `before` or `after` is None where one side has nothing; `delta` for numbers."""

    section: Section
    name: str
    before: Any = None
    after: Any = None

    @property
    def delta(self) -> float | None:
        """`after` minus `before` when both are numbers."""
        numbers = [value for value in (self.before, self.after) if isinstance(value, int | float) and not isinstance(value, bool)]
        return numbers[1] - numbers[0] if len(numbers) == 2 else None


@dataclass(frozen=True)
class Difference:
    """What changed from `before` to `after` (``namespace/model:number`` each), by section in a fixed order."""

    before: str
    after: str
    changes: tuple[Change, ...]

    @property
    def same_content(self) -> bool:
        """Whether the models' files are the same."""
        return not any(change.section == "files" for change in self.changes)


def difference(before: VersionRecord, after: VersionRecord) -> Difference:
    """What changed from one version to another, of one model or of two."""
    pairs: list[tuple[Section, Mapping[str, Any], Mapping[str, Any]]] = [
        ("metrics", before.metrics, after.metrics),
        ("params", before.params, after.params),
        ("gates", _gates(before), _gates(after)),
        ("files", _files(before.files), _files(after.files)),
        ("inputs", _inputs(before), _inputs(after)),
        ("source", _source(before), _source(after)),
        ("environment", _environment(before), _environment(after)),
        ("packages", before.environment.packages, after.environment.packages),
        ("signature", _signature(before), _signature(after)),
        ("tags", before.tags, after.tags),
        ("build", _build(before), _build(after)),
    ]
    changes = tuple(change for section, old, new in pairs for change in _changes(section, old, new))
    return Difference(f"{before.model}:{before.version}", f"{after.model}:{after.version}", changes)


def _changes(section: Section, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if was != now or type(was) is not type(now):
            yield Change(section, name, was, now)


def _gates(record: VersionRecord) -> dict[str, str]:
    return {gate.metric: f"{'passed' if gate.passed else 'failed'}: {gate.message}" for gate in record.gates}


def _files(files: Iterable[FileEntry]) -> dict[str, str]:
    return {entry.path: f"{entry.digest} ({entry.size} bytes)" for entry in files}


def _inputs(record: VersionRecord) -> dict[str, str]:
    return {entry.name: f"{entry.uri} {entry.digest}" for entry in record.inputs}


def _source(record: VersionRecord) -> dict[str, str]:
    source = record.source
    found = {"uri": source.uri, "commit": source.commit, "digest": source.digest} if source else {}
    return {key: value for key, value in found.items() if value}


def _environment(record: VersionRecord) -> dict[str, str]:
    env = record.environment
    return {k: v for k, v in (("python", env.python), ("platform", env.platform), ("image", env.image)) if v}


def _signature(record: VersionRecord) -> dict[str, str]:
    if record.signature is None:
        return {}
    sides = (("input", record.signature.inputs), ("output", record.signature.outputs))
    found = {f"{side} {t.name}": f"{t.datatype} {list(t.shape)}" for side, tensors in sides for t in tensors}
    return found | ({"columns": ", ".join(record.signature.columns)} if record.signature.columns else {})


def _build(record: VersionRecord) -> dict[str, str]:
    return {"format": record.format, "reason": record.reason, "builder": record.builder, "identity": record.build_id}
