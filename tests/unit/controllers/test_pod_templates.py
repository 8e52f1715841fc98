"""What people may write below podTemplate, whose schema is open."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.api.pods import template_problem
from slipway.controllers.shared.pods import merge

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "metadata as a list": ({"metadata": []}, "podTemplate.metadata: write an object"),
    "labels as text": ({"metadata": {"labels": "a=b"}}, "podTemplate.metadata.labels: write an object"),
    "an annotation without quotes": (
        {"metadata": {"annotations": {"prometheus.io/scrape": True}}},
        "podTemplate.metadata.annotations.prometheus.io/scrape: write text, in quotes",
    ),
    "spec as a flag": ({"spec": True}, "podTemplate.spec: write an object"),
    "containers as an object": ({"spec": {"containers": {"name": "main"}}}, "podTemplate.spec.containers: write a list"),
    "a container without a name": ({"spec": {"containers": [{"image": "x"}]}}, "podTemplate.spec.containers: write a list"),
    "variables as an object": (
        {"spec": {"containers": [{"name": "main", "env": {"A": "b"}}]}},
        "podTemplate.spec.containers[name=main].env: write a list",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_shape_that_cannot_be_merged_is_named(case: str) -> None:
    template, words = BAD[case]
    assert (template_problem("podTemplate", template) or "").startswith(words)


@pytest.mark.parametrize(
    "template", [{}, {"spec": None}, {"metadata": {"annotations": {"a": "true"}}}, {"spec": {"volumes": []}}]
)
def test_others_are_the_api_servers_to_judge(template: dict[str, Any]) -> None:
    assert template_problem("podTemplate", template) is None


def test_a_null_takes_nothing_away_and_is_not_sent() -> None:
    base = {"spec": {"containers": [{"name": "main", "image": "a"}]}, "metadata": {"labels": {"a": "b"}}}
    override = {"spec": {"containers": [{"name": "main", "env": None}], "affinity": {"x": None}}, "metadata": None}
    assert merge(base, override) == {
        "spec": {"containers": [{"name": "main", "image": "a"}], "affinity": {}},
        "metadata": {"labels": {"a": "b"}},
    }
