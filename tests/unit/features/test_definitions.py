"""What a feature view may say, and what may follow it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.features import FeatureView, InvalidDefinition, parse
from slipway.features.definitions import check_follows

GOOD: dict[str, Any] = {
    "name": "visits",
    "entities": [{"name": "user_id"}],
    "eventTime": "happened",
    "createdTime": "known",
    "ttl": "30d",
    "features": [{"name": "pages", "type": "int64"}, {"name": "embedding", "type": "list<float32>"}],
}


def with_(**changes: Any) -> dict[str, Any]:
    return {**GOOD, **changes}


def test_a_manifest_and_the_plain_form_are_the_same() -> None:
    spec = {key: value for key, value in GOOD.items() if key != "name"}
    manifest = {"apiVersion": "slipway.dev/v1alpha1", "kind": "FeatureView", "metadata": {"name": "visits"}, "spec": spec}
    assert parse(manifest) == parse(GOOD)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (with_(name="Visits"), "name: 'Visits': lower-case"),
        (with_(entities=[]), "entities"),
        (with_(entities=[{"name": "user_id", "type": "float64"}]), "cannot be an entity key's type"),
        (with_(features=[{"name": "pages", "type": "int46"}]), "features[0].type: 'int46' is not a type"),
        (with_(features=[{"name": "pages", "typ": "int64"}]), "features[0].typ: there is no such field"),
        (with_(features=[{"name": "user_id"}]), "column user_id is there twice"),
        (with_(features=[{"name": "Pages"}, {"name": "pages"}]), "there twice"),
        (with_(features=[{"name": "_slipway_row"}]), "Slipway's own"),
        (with_(features=[{"name": "a b"}]), "letters, digits and '_'"),
        (with_(ttl="0s"), "leave ttl out"),
        (with_(ttl="soon"), "write 30d"),
        (with_(ttl=30), "has no unit: write 30d"),
        (with_(eventTimes="x"), "eventTimes: there is no such field; perhaps eventTime?"),
        (with_(source={"sql": "select 1", "delta": "s3://b/k"}), "exactly one of delta, sql"),
        (with_(source={"sql": "select 1"}), "name the feature views"),
        ({"name": "x"}, "is missing"),
        (["x"], "a mapping belongs here"),
        ({"kind": "ModelBuild", "metadata": {}, "spec": {}}, "where FeatureView belongs"),
    ],
)
def test_a_bad_definition_names_the_field_and_the_fix(document: Any, words: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        parse(document)
    assert words in str(caught.value)


def test_words_for_people_do_not_make_another_definition() -> None:
    assert parse(with_(description="as counted by the web server", tags={"team": "web"})).digest == parse(GOOD).digest
    assert parse(with_(ttl="720h")).digest == parse(GOOD).digest
    assert parse(with_(ttl="29d")).digest != parse(GOOD).digest


def test_features_come_and_go_but_nothing_changes_its_meaning() -> None:
    old = parse(GOOD)
    check_follows(parse(with_(features=[{"name": "pages", "type": "int64"}, {"name": "clicks", "type": "int64"}])), old)
    check_follows(parse(with_(ttl="1d")), old)
    for changes, field in (
        ({"features": [{"name": "pages", "type": "string"}]}, "features.pages.type"),
        ({"entities": [{"name": "account"}]}, "entities"),
        ({"eventTime": "seen"}, "eventTime"),
        ({"source": {"delta": "s3://b/k"}}, "source"),
    ):
        with pytest.raises(InvalidDefinition, match=field):
            check_follows(parse(with_(**changes)), old)


def test_a_definition_survives_its_own_yaml() -> None:
    view = parse(with_(description="x"))
    assert isinstance(view, FeatureView)
    assert parse(view.to_dict()) == view
