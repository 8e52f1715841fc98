"""A registry as a team has it after some weeks: two models, their versions, aliases that moved, reports, and what runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from slipway.provenance.attest import Attester
from slipway.provenance.facts import BuildFacts
from slipway.registry.records import (
    Environment,
    FileEntry,
    GateResult,
    InputRecord,
    Signature,
    SourceRecord,
    TensorSpec,
    VersionDraft,
    VersionRecord,
    digest_of,
)
from slipway.registry.registry import Registry
from slipway.storage.port import ObjectStore

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
NAME = "default/breast-cancer"
VERSIONS = 14
IMAGE = "registry.example.com/slipway-training@sha256:" + "c" * 64
REPORT = """<!doctype html><meta charset="utf-8"><title>ROC</title><style>body{font:16px sans-serif;margin:2rem}</style>
<h1>ROC curve</h1><p id="drawn">no script ran</p><svg viewBox="0 0 200 200" width="360"><path d="M0,200 C10,30 40,8 200,0"
fill="none" stroke="#0f6c91" stroke-width="3"/><path d="M0,200 L200,0" stroke="#999" stroke-dasharray="4"/></svg>
<script>document.getElementById("drawn").textContent = "drawn by a script"</script>"""


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Sample:
    """`clock` is the registry's; `now` is when somebody looks at it."""

    store: ObjectStore
    reports: dict[str, str] = field(default_factory=lambda: {"roc.html": REPORT})
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.registry = Registry(self.store, clock=self.clock)

    @property
    def now(self) -> datetime:
        return self.clock.now + timedelta(hours=3)

    def fill(self, versions: int = VERSIONS) -> Sample:
        """All of it."""
        for number in range(1, versions + 1):
            self.version(NAME, number)
            if number in (2, 5, 9, 12) or number == versions:
                self._move("champion" if number != versions else "challenger", number)
        self.version("default/wine-quality", 1)
        self.version("team/churn", 1)
        self._move("production", 1, "team/churn")
        if versions >= 12:
            self.registry.pin("ModelDeployment", "default", "breast-cancer", versions=[f"{NAME}:12"])
            self.registry.pin("AppBuild", "default", "screening-app", versions=[f"{NAME}:9", f"{NAME}:12"])
        return self

    def version(self, model: str, number: int, **fields: object) -> VersionRecord:
        """The next version, a day and a half after the one before."""
        self.clock.now += timedelta(hours=37, minutes=11 * number % 50)
        made = _draft(self.registry, model, number, self.clock.now, self.reports).model_copy(update=fields)
        facts = BuildFacts(entrypoint="train:main", image=IMAGE, params=made.params, checked=True)
        return self.registry.register(Attester().attest(made, facts, self.registry.blobs))

    def _move(self, alias: str, number: int, model: str = NAME) -> None:
        self.clock.now += timedelta(minutes=2)
        builder = f"ModelBuild {model}"
        by, reason = (builder, f"{builder}: gates passed") if number != 9 else ("ann", "approved after a look at the report")
        self.registry.move_alias(model, alias, number, by=by, reason=reason)


@cache
def onnx_model() -> bytes:
    """A real classifier of breast cancer, as training would have converted it."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3)).fit(features, labels)
    made = to_onnx(model, features[:1].astype("float32"), options={"zipmap": False})
    return bytes(made.SerializeToString())


def columns() -> tuple[str, ...]:
    from sklearn.datasets import load_breast_cancer

    return tuple(str(name) for name in load_breast_cancer().feature_names)


def _draft(registry: Registry, model: str, number: int, at: datetime, reports: dict[str, str]) -> VersionDraft:
    put = registry.blobs.put_bytes
    real = model == NAME
    content = onnx_model() if real else f"{model} {number}".encode()
    auc = 0.9938 + 0.0009 * math.log1p(number) + 0.0007 * math.sin(number * 1.7)
    signature = Signature(
        inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, 30)),),
        outputs=(
            TensorSpec(name="label", datatype="INT64", shape=(-1,)),
            TensorSpec(name="probabilities", datatype="FP32", shape=(-1, 2)),
        ),
        columns=columns(),
    )
    stored: list[FileEntry] = [put(text.encode(), "text/html", path=path) for path, text in reports.items()]
    return VersionDraft(
        model=model,
        build_id=digest_of([model, number]),
        reason="FirstBuild" if number == 1 else ("SourceChanged", "InputChanged", "SpecChanged")[number % 3],
        files=(put(content, "application/vnd.onnx", path="model.onnx"),),
        reports=tuple(stored),
        logs=(put(f"training of {model}\nepoch {number}: done\n".encode(), "text/plain; charset=utf-8", path="train.log"),),
        format="onnx",
        signature=signature if real else None,
        params={"C": round(0.1 * (1 + number % 5), 2), "solver": "lbfgs", "max_iter": 500},
        metrics={"roc_auc": auc, "accuracy": auc - 0.02, "log_loss": 0.09 - auc / 50 + 0.002 * math.sin(number), "f1": auc - 0.012},
        gates=(GateResult(metric="roc_auc", passed=True, message=f"roc_auc {auc:.6g} ≥ 0.99", value=auc, bound=0.99),),
        environment=Environment(
            python="3.12.11", image=IMAGE, packages={"numpy": "2.3.4", "scikit-learn": "1.7.2", "skl2onnx": "1.19.1"}
        ),
        inputs=(
            InputRecord(
                name="train", uri=f"s3://data/{model.partition('/')[2]}/train.parquet", digest=digest_of(["data", number // 3]),
                size=120_000, rows=455,
            ),
        ),
        source=SourceRecord(
            kind="git", uri="https://git.example.com/ml/models.git", digest=digest_of(["code", number]), commit=f"{number:02x}" * 20
        ),
        started_at=at - timedelta(seconds=21),
        finished_at=at - timedelta(seconds=2),
        builder=f"ModelBuild {model}",
        tags={"team": "screening"} if real else {},
    )  # fmt: skip
