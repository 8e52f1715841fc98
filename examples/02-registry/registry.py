"""A model registry of one's own, from a laptop, without a cluster and without a server.

    pip install slipway
    python registry.py file:///tmp/models        # or s3://bucket/prefix, with AWS_… in the environment

Registers two versions of a small model, moves an alias, asks who was champion when, searches, compares, and collects garbage.
Running it again changes nothing: the same content is the same version.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from slipway.registry import Registry
from slipway.registry.records import FileEntry, InputRecord, VersionDraft, digest_of

MODEL = "default/breast-cancer"


def register(registry: Registry, content: bytes, *, c: float, roc_auc: float) -> int:
    """First the bytes, then the record: a reader never sees half a version."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        files: tuple[FileEntry, ...] = registry.blobs.put_tree(Path(folder))
    data = InputRecord(name="train", uri="s3://data/train.parquet", digest=digest_of("the data"), size=1, rows=569)
    draft = VersionDraft(
        model=MODEL,
        build_id=digest_of([content.hex(), c]),  # the same identity registered twice gives the same version
        reason="Registered",
        files=files,
        format="onnx",
        params={"C": c, "solver": "lbfgs"},
        metrics={"roc_auc": roc_auc},
        inputs=(data,),
        tags={"team": "ml"},
    )
    return registry.register(draft).version


def main(uri: str) -> None:
    registry = Registry.open(uri)
    first = register(registry, b"first weights", c=1.0, roc_auc=0.981)
    second = register(registry, b"better weights", c=0.3, roc_auc=0.994)
    print(f"versions {first} and {second} of {MODEL}")

    if registry.alias(MODEL, "champion") is None:
        registry.move_alias(MODEL, "champion", first, by="ann", reason="the first one")
        registry.move_alias(MODEL, "champion", second, by="ann", reason="better", expected=first)
    for move in registry.history(MODEL, "champion"):
        print(f"champion: {move.previous or '-'} -> {move.version} by {move.by}: {move.reason}")

    found = registry.search("metrics.roc_auc > 0.99 and params.C < 1", models=[MODEL])
    print("good ones:", ", ".join(hit.ref for hit in found.hits))
    for change in registry.diff(f"{MODEL}:{first}", f"{MODEL}:{second}").changes:
        if change.section in ("metrics", "params"):
            print(f"{change.section}.{change.name}: {change.before} -> {change.after} ({change.delta:+.3f})")
    print("made of:", ", ".join(node.name for node in registry.lineage(f"{MODEL}@champion").up() if node.kind == "data"))

    with tempfile.TemporaryDirectory() as folder:
        champion = registry.resolve(f"{MODEL}@champion")
        registry.blobs.fetch_tree(champion.files, Path(folder))  # every byte is checked against its digest
        print("pulled:", (Path(folder) / "model.onnx").read_bytes().decode())
    print(f"garbage: {registry.collect(dry_run=True).kept} files in use, {len(registry.collect(dry_run=True).items)} to collect")


if __name__ == "__main__":
    main(sys.argv[1])
