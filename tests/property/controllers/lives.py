"""Generated wishes, and a world in which each step of a controller is checked while it is taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from slipway.controllers.app_build import CONTROLLER_FACTORY as APP_BUILD
from slipway.controllers.feature_view import CONTROLLER_FACTORY as FEATURE_VIEW
from slipway.controllers.model_build import CONTROLLER_FACTORY as MODEL_BUILD
from slipway.controllers.model_deployment import CONTROLLER_FACTORY as MODEL_DEPLOYMENT
from slipway.kube.port import Object
from slipway.reconcile.contract import Stalled, Transient
from slipway.reconcile.deps import Deps
from tests.faults.controllers import worlds
from tests.faults.world import Operator, World

FACTORIES = {"ModelBuild": MODEL_BUILD, "AppBuild": APP_BUILD, "ModelDeployment": MODEL_DEPLOYMENT, "FeatureView": FEATURE_VIEW}
NAMES = {"ModelBuild": "cancer", "AppBuild": "app", "ModelDeployment": "cancer", "FeatureView": "visits"}
FEATURES = {"pages": "int64", "country": "string", "spent": "float64", "embedding": "list<float32>"}


def checked(kind: str) -> Callable[[Deps], Any]:
    """The controller of a kind, whose pure steps are taken twice: they say the same, and refuse with Stalled or not at
    all."""

    def make(deps: Deps) -> Any:
        inner = FACTORIES[kind](deps)

        class Checked(type(inner)):  # type: ignore[misc]
            def validate(self, observed: Any) -> Any:
                try:
                    valid = inner.validate(observed)
                except (Stalled, Transient):
                    raise
                except Exception as error:
                    raise Impure(f"validate does not know what to say of {observed}") from error
                if inner.validate(observed) != valid:
                    raise Impure("validate says one thing now and another one later")
                return valid

            def plan(self, valid: Any, now: datetime) -> Any:
                planned = inner.plan(valid, now)
                if inner.plan(valid, now) != planned:
                    raise Impure("two plans from the same facts")
                return planned

        return Checked(deps)

    return make


class Impure(BaseException):
    """Nobody may catch this, as the driver catches what goes wrong in a controller."""


def world(kind: str) -> World:
    """All kinds' surroundings; only `kind` has a controller."""
    made = worlds.world(kind)
    made.factories = {kind: checked(kind)}
    made.patience, made.max_reconciles = 60.0, 300
    return made


def manifest(kind: str, spec: Any) -> Object:
    makers = {
        "ModelBuild": worlds.model_build,
        "AppBuild": worlds.app_build,
        "ModelDeployment": worlds.model_deployment,
        "FeatureView": worlds.feature_view,
    }
    return {**makers[kind](), "spec": spec}


async def rest(world: World) -> None:
    await Operator(world).run_to_rest()


# ---- specs as people write them ----

scalars = st.one_of(
    st.booleans(), st.integers(-100, 100), st.floats(-1, 1).map(lambda x: round(x, 3)), st.text("abc", max_size=4)
)
params = st.dictionaries(st.sampled_from(["C", "seed", "kernel"]), scalars, max_size=3)
quantities = st.sampled_from([{}, {"requests": {"cpu": "500m"}}, {"limits": {"memory": "1Gi"}}])
templates = st.sampled_from([{}, {"spec": {"nodeSelector": {"gpu": "yes"}}}, {"metadata": {"annotations": {"a": "b"}}}])
gates = st.one_of(
    st.builds(lambda bound: {"metric": "auc", "min": bound}, st.sampled_from([0.5, 0.95, 0.99])),
    st.builds(lambda bound: {"metric": "auc", "max": bound}, st.sampled_from([0.5, 1.0])),
    st.just({"metric": "auc", "noWorseThan": "champion", "tolerance": 0.01}),
    st.just({"metric": "never_logged", "min": 0}),
)
model_builds = st.fixed_dictionaries(
    {
        "source": st.just({"configMap": {"name": "code"}}),
        "trainer": st.builds(
            lambda p, r, t: {"entrypoint": "train:main", "params": p, "resources": r, "podTemplate": t},
            params, quantities, templates,
        ),
    },
    optional={
        "inputs": st.just([{"name": "train", "s3": {"uri": "s3://data/train.parquet"}}]),
        "evaluation": st.builds(
            lambda g, m: {"gates": g, "onMissing": m}, st.lists(gates, max_size=3), st.sampled_from(["Fail", "Ignore"])
        ),
        "promotion": st.builds(
            lambda alias, approval: {"alias": alias, "approval": approval},
            st.sampled_from(["champion", "canary"]), st.sampled_from(["Automatic", "Manual"]),
        ),
        "retry": st.builds(lambda limit: {"limit": limit}, st.integers(0, 3)),
        "deadlineSeconds": st.integers(60, 3600),
    },
)  # fmt: skip
app_builds = st.fixed_dictionaries(
    {
        "source": st.just({"configMap": {"name": "code"}}),
        "base": st.just({"image": worlds.BASE}),
        "output": st.sampled_from([{"repository": "registry.example.com/team/app"}, {"repository": "registry.example.com/b"}]),
    },
    optional={
        "entrypoint": st.just("app:Service"),
        "requirements": st.lists(st.sampled_from(["pandas==2.3.*", "requests"]), unique=True, max_size=2),
        "retry": st.builds(lambda limit: {"limit": limit}, st.integers(0, 3)),
    },
)
model_deployments = st.fixed_dictionaries(
    {
        "model": st.sampled_from([{"name": "cancer", "alias": "champion"}, {"name": "cancer", "version": 1}, {"name": "cancer", "version": 2}]),
        "replicas": st.integers(1, 3),
    },
    optional={"resources": quantities, "podTemplate": templates, "progressDeadlineSeconds": st.sampled_from([60, 600])},
)  # fmt: skip
columns = st.lists(st.sampled_from(["pages", "country", "spent", "embedding"]), min_size=1, max_size=4, unique=True).map(
    lambda names: [{"name": name, "type": FEATURES[name]} for name in names]
)
feature_views = st.fixed_dictionaries(
    {"entities": st.just([{"name": "user"}]), "eventTime": st.just("happened"), "features": columns},
    optional={
        "ttl": st.sampled_from(["30d", "12h", "1d12h"]),
        "description": st.text("abc", max_size=4),
        "tags": st.just({"team": "web"}),
    },
)
SPECS = {
    "ModelBuild": model_builds,
    "AppBuild": app_builds,
    "ModelDeployment": model_deployments,
    "FeatureView": feature_views,
}

MISSING = {
    "ModelBuild": {"source": {"configMap": {"name": "nobody-made-this"}}, "trainer": {"entrypoint": "train:main"}},
    "AppBuild": {
        "source": {"configMap": {"name": "nobody-made-this"}},
        "base": {"image": worlds.BASE},
        "output": {"repository": "registry.example.com/team/app"},
    },
    "ModelDeployment": {"model": {"name": "nobody-trained-this", "alias": "champion"}, "replicas": 2},
    "FeatureView": {
        "entities": [{"name": "user"}],
        "eventTime": "happened",
        "features": [{"name": "pages", "type": "int64"}],
        "source": {"sql": "SELECT 1", "views": ["nobody-made-this"]},
    },
}
"""Wishes that refer to what is not there."""

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("abcdef", max_size=5), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn, kind: str) -> Any:
    """A spec with one value anywhere in it replaced by anything: what an older or a looser schema would have let in."""
    spec = draw(SPECS[kind])
    places = list(_places(spec))
    path = draw(st.sampled_from(places))
    return _replaced(spec, path, draw(json_values))


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from _places(each, (*path, name))


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy
