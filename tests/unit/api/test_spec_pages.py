"""The spec pages mention everything that a resource may say, and nothing that it may not."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.api import spec_pages
from slipway.api.app_build import AppBuild
from slipway.api.conditions import REASONS
from slipway.api.crd import KINDS, Kind, schema_of
from slipway.api.feature_view import FeatureView
from slipway.api.model_build import ModelBuild
from slipway.api.model_deployment import ModelDeployment

DOCS = Path(__file__).parents[3] / "docs/spec/v1alpha1"
CONDITION = "status.conditions[]."


@pytest.fixture(params=KINDS, ids=lambda kind: kind.model.KIND)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


def page(kind: Kind) -> str:
    return (DOCS / spec_pages.PAGES[kind.model.KIND]).read_text(encoding="utf-8")


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        yield f"{path}{name}"
        yield from fields(member, f"{path}{name}.")
        yield from fields(member.get("items", {}), f"{path}{name}[].")


def known_fields(kind: Kind) -> set[str]:
    return {f for f in fields(schema_of(kind)) if f.startswith(("spec.", "status.")) and not f.startswith(CONDITION)}


def test_the_tables_are_up_to_date(tmp_path: Path) -> None:
    assert spec_pages.main(["--docs", str(DOCS), "--check"]) == 0, "run: python -m slipway.api.spec_pages"


def test_a_stale_table_is_found_and_written_again(tmp_path: Path) -> None:
    for name in spec_pages.PAGES.values():
        (tmp_path / name).write_text("# Title\n<!-- reasons -->\nold words\n<!-- end -->\nkept\n")
    assert spec_pages.main(["--docs", str(tmp_path), "--check"]) == 1
    assert spec_pages.main(["--docs", str(tmp_path)]) == 0
    assert spec_pages.main(["--docs", str(tmp_path), "--check"]) == 0
    text = (tmp_path / "model-build.md").read_text()
    assert "old words" not in text
    assert text.endswith("<!-- end -->\nkept\n")


def test_every_field_is_described(kind: Kind) -> None:
    missing = sorted(f for f in known_fields(kind) if f"`{f}`" not in page(kind))
    assert not missing


def test_every_field_that_is_described_exists(kind: Kind) -> None:
    named = set(re.findall(r"`((?:spec|status)\.[A-Za-z0-9\[\].]+)`", page(kind)))
    assert not sorted(named - known_fields(kind))


def test_every_reason_is_described_with_its_meaning(kind: Kind) -> None:
    for reason in REASONS.values():
        if kind.model.KIND in reason.kinds:
            assert re.search(rf"^\| `{reason.name}` \| .* \| {re.escape(reason.meaning)} \|$", page(kind), re.MULTILINE)


def test_the_example_is_a_valid_resource(kind: Kind) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", page(kind), re.DOTALL)
    assert examples
    models = {model.KIND: model for model in (ModelBuild, AppBuild, ModelDeployment, FeatureView)}
    for example in examples:
        resource = yaml.safe_load(example)
        assert models[resource["kind"]].parse(resource).metadata.name
        assert not [name for name in resource["spec"] if f"spec.{name}" not in known_fields(kind)]


def test_the_columns_shown_are_those_of_the_resource(kind: Kind) -> None:
    shown = re.search(r"```console\n\$ kubectl get [a-z]+\n(.*)\n", page(kind))
    assert shown is not None
    assert shown[1].split() == ["NAME", *(column.name.upper() for column in kind.columns if not column.wide)]
