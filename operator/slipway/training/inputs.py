"""The input data of a run, as files that are there already."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.training.errors import UnknownName

if TYPE_CHECKING:
    import pandas

_PARQUET = (".parquet", ".pq")
_CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zst", ".tsv", ".tsv.gz", ".txt")


@dataclass(frozen=True)
class Input:
    """One input. `digest` is the identity of its data, `uri` where it came from, `rows` its rows if it is Parquet."""

    name: str
    root: Path
    """The folder that holds its files."""
    uri: str = ""
    digest: str = ""
    rows: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, sorted by path; those whose name begins with '.' or '_' (markers of writers) are left out."""
        if self.root.is_file():
            return (self.root,)
        found = (path for path in self.root.rglob("*") if path.is_file())
        return tuple(sorted(path for path in found if not _is_marker(path.relative_to(self.root))))

    @property
    def path(self) -> Path:
        """The file, when the input is one; else the folder of its files."""
        files = self.files
        return files[0] if len(files) == 1 else self.root

    def read_parquet(self, columns: list[str] | None = None, **options: Any) -> pandas.DataFrame:
        """All its Parquet files as one DataFrame, in order of path, with a fresh index when they are several.
        `options` go to `pandas.read_parquet`. Raises FileNotFoundError when it has none."""
        import pandas

        files = self._files(_PARQUET, "Parquet", "read_csv()")
        frames = [pandas.read_parquet(path, columns=columns, **options) for path in files]
        return frames[0] if len(frames) == 1 else pandas.concat(frames, ignore_index=True)

    def read_csv(self, **options: Any) -> pandas.DataFrame:
        """All its CSV files as one DataFrame, as `read_parquet` does. `options` go to `pandas.read_csv`; a ``.tsv``
        is read with tabs. Raises FileNotFoundError when it has none."""
        import pandas

        frames = []
        for path in self._files(_CSV, "CSV", "read_parquet()"):
            tabs = {"sep": "\t"} if ".tsv" in path.suffixes and "sep" not in options else {}
            frames.append(pandas.read_csv(path, **tabs, **options))
        return frames[0] if len(frames) == 1 else pandas.concat(frames, ignore_index=True)

    def _files(self, endings: tuple[str, ...], kind: str, other: str) -> tuple[Path, ...]:
        files = self.files
        chosen = tuple(path for path in files if path.name.lower().endswith(endings))
        if not chosen and len(files) == 1 and not files[0].suffix:
            return files
        if not chosen:
            names = ", ".join(path.name for path in files[:5]) or "no files"
            where = f" ({self.uri})" if self.uri else ""
            raise FileNotFoundError(f"input {self.name!r}{where} has no {kind} file, but {names}: use {other} or .files")
        return chosen


def _is_marker(relative: Path) -> bool:
    return any(part.startswith((".", "_")) for part in relative.parts)


class Inputs(Mapping[str, Input]):
    """Inputs by name: ``run.inputs["train"]``."""

    def __init__(self, inputs: Mapping[str, Input]) -> None:
        self._inputs = dict(inputs)

    def __getitem__(self, name: str) -> Input:
        try:
            return self._inputs[name]
        except KeyError:
            raise UnknownName(self._unknown(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(str(name), self._inputs, n=1)
        given = f"did you mean {near[0]!r}?" if near else f"given: {', '.join(sorted(self._inputs)) or 'none'}"
        return f"no input {name!r} ({given}); add it under spec.inputs, or give --input {name}=PATH on a laptop"
