"""skops files: written so that the same estimator has the same bytes, and held against the list of trusted types."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slipway.training.errors import FormatRefused
from slipway.training.trusted import BUILT_IN

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(estimator: Any, path: Path) -> None:
    """`estimator` as a skops file at `path`. Raises what skops raises for an object that it cannot express."""
    import skops.io

    draft = path.with_name(path.name + ".draft")
    try:
        skops.io.dump(estimator, draft)
        _normalise(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def untrusted(path: Path, trusted: Iterable[str]) -> list[str]:
    """Types in the file that neither skops, nor `BUILT_IN`, nor `trusted` holds to be safe; sorted. Raises FormatRefused
    when it cannot be read."""
    import skops.io

    try:
        return sorted(set(skops.io.get_untrusted_types(file=path)) - BUILT_IN - set(trusted))
    except Exception as error:  # a damaged file makes skops raise whatever its reader stumbles over
        raise FormatRefused(f"skops cannot read {path.name}: {type(error).__name__}: {error}") from error


def load(path: Path, trusted: Iterable[str]) -> Any:
    """The estimator, of trusted types only. Raises FormatRefused naming those that are not."""
    import skops.io

    unknown = untrusted(path, trusted)
    if unknown:
        raise FormatRefused(
            f"{path.name} holds types that this installation does not trust: {', '.join(unknown[:10])}"
            f"{f' and {len(unknown) - 10} more' if len(unknown) > 10 else ''}; an administrator who knows their code can add "
            "them to the operator's SLIPWAY_TRUSTED_TYPES"
        )
    return skops.io.load(path, trusted=[*BUILT_IN, *trusted])


def _normalise(source: Path, target: Path) -> None:
    """Rewrites a skops archive without what differs between two runs: object addresses used as names, and times."""
    with zipfile.ZipFile(source) as archive:
        schema = json.loads(archive.read("schema.json"))
        files = {name for name in archive.namelist() if name != "schema.json"}
        numbers: dict[int, int] = {}
        renamed: dict[str, str] = {}
        _renumber(schema, files, numbers, renamed)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
            for name, new in [*renamed.items(), *((name, name) for name in sorted(files - renamed.keys()))]:
                info = zipfile.ZipInfo(new, _EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(name) as reader, out.open(info, "w", force_zip64=True) as writer:
                    while piece := reader.read(1 << 20):
                        writer.write(piece)
            info = zipfile.ZipInfo("schema.json", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, json.dumps(schema, indent=1))


def _renumber(node: Any, files: set[str], numbers: dict[int, int], renamed: dict[str, str]) -> None:
    """Replaces, in place and in order of appearance, ``__id__`` and ``file`` of every node by counted ones."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(reversed(node))
            continue
        if not isinstance(node, dict):
            continue
        if isinstance(node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        file = node.get("file")
        if isinstance(file, str) and file in files:
            node["file"] = renamed.setdefault(file, f"{len(renamed) + 1}{Path(file).suffix}")
        pending.extend(reversed(list(node.values())))
