"""What a folder with a model holds: which file is the model, in which format, with which signature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from slipway.registry.records import Signature
from slipway.training.errors import FormatRefused, NoModel
from slipway.training.formats import ONNX, sniff
from slipway.training.layout import regular_files


@dataclass(frozen=True)
class Inspected:
    """The model among the files of a folder. `signature` is None when the file does not say."""

    path: Path
    format: str
    signature: Signature | None = None

    def with_signature(self, given: Signature) -> Inspected:
        """Adds what the file itself cannot say: names of columns, an example row, and types where it has none."""
        known = self.signature or Signature()
        update: dict[str, object] = {"columns": given.columns or known.columns, "example": given.example or known.example}
        if not known.inputs:
            update["inputs"] = given.inputs
        if not known.outputs:
            update["outputs"] = given.outputs
        return replace(self, signature=known.model_copy(update=update))


def find_model(folder: Path) -> Inspected:
    """The model file in `folder`, by content: the only one, or the one named ``model.onnx`` or ``model.skops``. Raises
    NoModel when there is none, FormatRefused for a pickle, a link, or several candidates."""
    if not folder.is_dir():
        raise NoModel(f"no model was saved: call run.save_model(), or write {folder.name}/model.onnx")
    found, others = [], []
    try:
        for path in regular_files(folder):
            kind = sniff(path)
            if kind is None:
                others.append(path.relative_to(folder).as_posix())
            else:
                found.append(Inspected(path, kind))
    except ValueError as error:
        raise FormatRefused(str(error)) from error
    if not found and others:
        raise FormatRefused(f"{', '.join(others[:5])} is no model that Slipway knows: ONNX and skops files are taken")
    if not found:
        raise NoModel("no model was saved: call run.save_model(model, X=X), or write output/model/model.onnx")
    named = [model for model in found if model.path.parent == folder and model.path.stem == "model"] or found
    if len(named) > 1:
        names = ", ".join(sorted(model.path.name for model in named)[:5])
        raise FormatRefused(f"{len(named)} models were saved ({names}): keep one, or name the one to serve model.onnx")
    return named[0]


def inspect_model(folder: Path, trusted: tuple[str, ...]) -> Inspected:
    """`find_model`, with the signature read from the file. Raises what `find_model` does, and FormatRefused for a file
    that does not load or holds types that are neither skops' own nor `trusted`."""
    found = find_model(folder)
    if found.format == ONNX:
        from slipway.training.onnx_file import open_session, read_signature

        return replace(found, signature=read_signature(open_session(found.path)))
    from slipway.training.convert import signature_without_rows
    from slipway.training.skops_file import load

    return replace(found, signature=signature_without_rows(load(found.path, trusted)))
