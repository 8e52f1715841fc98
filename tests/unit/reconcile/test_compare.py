"""When a live object holds what a manifest says. What the real server makes of manifests is in the contract tests."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slipway.kube.port import Object
from slipway.reconcile.compare import APPLIED_ANNOTATION, holds, stamped


def obj(**spec: Any) -> Object:
    metadata = {"name": "one", "namespace": "ns", "labels": {"a": "1"}}
    return {"apiVersion": "v1", "kind": "Thing", "metadata": metadata, "spec": spec}


def container(**fields: Any) -> Object:
    return obj(containers=[{"name": "main", **fields}])


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        (obj(a=1), obj(a=1, b="a default")),
        (obj(a=""), obj()),
        (obj(a=0), obj()),
        (obj(a=False), obj()),
        (obj(a=[]), obj()),
        (obj(a={}), obj()),
        (obj(a={"b": {"c": None}}), obj()),
        (obj(a=None), obj()),
        (obj(a=1), obj(a=1.0)),
        (container(env=[{"name": "A"}]), container(env=[{"name": "B"}, {"name": "A"}])),
        (container(ports=[{"containerPort": 1}]), container(ports=[{"containerPort": 1, "protocol": "TCP"}])),
        (obj(a=[{"x": 1}]), obj(a=[{"x": 1, "y": "a default"}])),
        (obj(requests={"cpu": "1000m"}), obj(requests={"cpu": "1"})),
        (obj(requests={"cpu": 0.5}), obj(requests={"cpu": "500m"})),
        (obj(limits={"memory": "1024Mi"}), obj(limits={"memory": "1Gi"})),
        (obj(limits={"memory": "1e3"}), obj(limits={"memory": "1k"})),
        (obj(limits={"memory": "128974848"}), obj(limits={"memory": 128974848})),
        (obj(emptyDir={"sizeLimit": "1024Mi"}), obj(emptyDir={"sizeLimit": "1Gi"})),
        (obj(finalizers=["a"]), obj(finalizers=["b", "a"])),
    ],
)
def test_what_the_server_adds_or_rewrites_is_no_difference(wanted: Object, live: Object) -> None:
    assert holds(live, wanted)


@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        (obj(a=1), obj(a=2)),
        (obj(a=1), obj()),
        (obj(a="1"), obj(a=1)),
        (obj(a=True), obj(a=1)),
        (obj(a=False), obj(a=True)),
        (obj(a=0), obj(a=1)),
        (obj(a=[1]), obj(a=[1, 2])),
        (obj(a=[]), obj(a=[1])),
        (obj(a=[1, 2]), obj(a=[2, 1])),
        (obj(a={"b": 1}), obj(a="text")),
        (container(image="x"), obj(containers=[{"name": "other", "image": "x"}])),
        (container(image="x"), container(image="y")),
        (obj(requests={"cpu": "1"}), obj(requests={"cpu": "2"})),
        (obj(args=["1"]), obj(args=["1000m"])),
        (obj(limits={"memory": "1M"}), obj(limits={"memory": "1Mi"})),
        (obj(limits={"memory": "much"}), obj(limits={"memory": "more"})),
    ],
)
def test_a_field_that_reads_differently_is_a_difference(wanted: Object, live: Object) -> None:
    assert not holds(live, wanted)


def test_labels_annotations_and_owners_count_and_identity_does_not() -> None:
    wanted = obj(a=1)
    live = copy.deepcopy(wanted)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "annotations": {"team": "blue"}}
    assert holds(live, {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": "1"}})
    live["metadata"]["labels"] = {"a": "2"}
    assert not holds(live, wanted)
    wanted["metadata"]["ownerReferences"] = [{"uid": "me", "name": "x"}]
    live["metadata"]["labels"] = {"a": "1"}
    live["metadata"]["ownerReferences"] = [{"uid": "other", "name": "x"}]
    assert not holds(live, wanted)


def test_a_stamp_changes_with_the_content_alone() -> None:
    one, two = stamped(obj(a=1)), stamped(obj(a=2))
    annotation = one["metadata"]["annotations"][APPLIED_ANNOTATION]
    assert annotation != two["metadata"]["annotations"][APPLIED_ANNOTATION]
    assert stamped(one) == one
    assert stamped(copy.deepcopy(obj(a=1))) == one


def test_a_field_that_is_sent_no_more_shows_in_the_stamp() -> None:
    assert not holds(stamped(obj(a=1, b=2)), stamped(obj(a=1)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab1m", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "limits", "env"]), inner, max_size=3),
    max_leaves=12,
)


@given(json_values, json_values)
@example({"env": [{"a": None}, {"a": False}]}, None)
def test_whatever_is_there_holds_itself_and_nothing_crashes(one: Any, two: Any) -> None:
    assert holds(stamped(obj(x=one)), stamped(obj(x=one)))
    assert holds(obj(x=one), obj(x=two)) in (True, False)
