"""spec.onlineStore in the pods, and what it must not change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from slipway.api.model_deployment import ModelDeploymentSpec
from slipway.controllers.model_deployment.online import FEATURES, online_secret, online_settings
from slipway.controllers.model_deployment.policy import revision_name
from slipway.registry.records import FeatureRecord, InputRecord, UsedView, VersionRecord

DIGEST = "sha256:" + "1" * 64


def spec(**fields: Any) -> ModelDeploymentSpec:
    return ModelDeploymentSpec.model_validate({"model": {"name": "fraud", "alias": "champion"}, **fields})


def version(*inputs: InputRecord) -> VersionRecord:
    return VersionRecord(
        model="team/fraud", build_id=DIGEST, reason="test", files=(), format="onnx", inputs=inputs, version=1, digest=DIGEST,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), writer="test",
    )  # fmt: skip


def test_versions_of_features_have_room_for_a_copy() -> None:
    used = UsedView(view="team/visits", revision=1, definition=DIGEST)
    data = InputRecord(name="data", uri="x", digest=DIGEST, size=1, features=FeatureRecord(as_of="Latest", views=(used,)))
    assert online_settings(None, version(data)) == {"SLIPWAY_ONLINE_CACHE": FEATURES}


def test_a_secret_is_left_to_the_kubelet() -> None:
    online = spec(onlineStore={"secretRef": {"name": "redis"}}).online_store
    assert online_secret(online) == [
        {"name": "SLIPWAY_ONLINE_STORE", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}
    ]
    assert online_settings(online, version())["SLIPWAY_ONLINE_STORE"] == ""


def test_policies_reach_the_server_in_its_own_words() -> None:
    from slipway.serving.settings import MISSING, OTHER

    online = spec(onlineStore={"url": "redis://redis:6379/0", "missingFeatures": "Null", "otherDefinition": "Flag"}).online_store
    made = online_settings(online, version())
    assert made["SLIPWAY_ONLINE_STORE"] == "redis://redis:6379/0"
    assert made["SLIPWAY_MISSING_FEATURES"] in MISSING and made["SLIPWAY_OTHER_DEFINITION"] in OTHER
    assert online_settings(None, version()) == {} and online_secret(None) == []


def test_revisions_from_before_keep_their_names_and_another_store_is_another_revision() -> None:
    before = revision_name("sha256:1", "image", spec())
    assert before == "324dbe639fed1a5c"
    assert revision_name("sha256:1", "image", spec(onlineStore={"url": "redis://redis:6379/0"})) != before
