"""The generated CustomResourceDefinitions, as far as that can be seen without an API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, Field

from slipway.api import crd
from slipway.api.crd import KINDS, Kind, SchemaError, check, schema_of, structural

ROOT = Path(__file__).parents[3]


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from walk(member, f"{path}.{name}")
    for word, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(word), dict):
            yield from walk(schema[word], path + mark)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.model.KIND)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


def test_the_files_are_up_to_date() -> None:
    wanted = crd.files(ROOT / "crds", ROOT / "charts/slipway/templates/crds")
    stale = [str(path.relative_to(ROOT)) for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run: python -m slipway.api.crd --out crds --chart charts/slipway/templates/crds"


def test_no_other_files_lie_beside_the_generated_ones() -> None:
    wanted = set(crd.files(ROOT / "crds", ROOT / "charts/slipway/templates/crds"))
    found = {path for folder in ("crds", "charts/slipway/templates/crds") for path in (ROOT / folder).iterdir()}
    assert found == wanted


def test_check_mode_writes_nothing_and_names_the_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crd.main(["--out", str(tmp_path)]) == 0
    assert crd.main(["--out", str(tmp_path), "--check"]) == 0
    spoiled = tmp_path / "slipway.dev_modelbuilds.yaml"
    spoiled.write_text("kind: Nothing\n")
    capsys.readouterr()
    assert crd.main(["--out", str(tmp_path), "--check"]) == 1
    assert str(spoiled) in capsys.readouterr().out
    assert spoiled.read_text() == "kind: Nothing\n"


def test_the_yaml_holds_no_empty_list_or_map_and_no_anchor(kind: Kind) -> None:
    text = crd.render(kind)
    loaded = yaml.safe_load(text)
    assert loaded["spec"]["versions"][0].pop("subresources") == {"status": {}}

    def empties(value: Any, path: str) -> Iterator[str]:
        if value in ([], {}):
            yield path
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, member in members:
            yield from empties(member, f"{path}.{key}")

    assert list(empties(loaded, "")) == []
    assert "&id" not in text


def test_defaults_are_single_values_outside_of_lists_and_of_status(kind: Kind) -> None:
    for path, schema in walk(schema_of(kind)):
        if "default" in schema:
            assert path.startswith(".spec."), path
            assert "[]" not in path, path
            assert isinstance(schema["default"], (str, int, bool)), path


def test_every_default_is_also_said_in_words(kind: Kind) -> None:
    for path, schema in walk(schema_of(kind)):
        if "default" in schema:
            shown = str(schema["default"]).lower() if isinstance(schema["default"], bool) else schema["default"]
            assert f"Default: {shown}" in schema["description"], path


def test_every_rule_has_a_message_that_begins_with_the_field(kind: Kind) -> None:
    for path, schema in walk(schema_of(kind)):
        for rule in schema.get("x-kubernetes-validations", ()):
            subject = rule["message"].partition(":")[0]
            name = path.replace("[]", "").rpartition(".")[2]
            assert subject.startswith(("metadata.name", "trainer.image")) or subject in (
                name,
                name.removesuffix("s"),
            ), path


def test_fields_whose_behaviour_is_not_there_yet_are_not_in_the_schema() -> None:
    (kind,) = [kind for kind in KINDS if kind.model.KIND == "ModelBuild"]
    known = {path for path, _ in walk(schema_of(kind))}
    assert not known & {".spec.queueName"}


def test_the_only_strategy_is_layers() -> None:
    (kind,) = [kind for kind in KINDS if kind.model.KIND == "AppBuild"]
    assert dict(walk(schema_of(kind)))[".spec.strategy"]["enum"] == ["Layers"]


def test_no_status_says_phase(kind: Kind) -> None:
    assert not [path for path, _ in walk(schema_of(kind)) if "phase" in path.lower()]


def test_what_a_person_wants_first_comes_first(kind: Kind) -> None:
    columns = crd.definition(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns][:2] == ["Ready", "Reason"]
    assert columns[-1]["name"] == "Age"


# ---- the rewriting itself ----


class Inner(BaseModel):
    """Words of the class."""

    a: int = Field(default=1, description="A.")


def rewritten(model: type[BaseModel]) -> dict[str, Any]:
    raw = model.model_json_schema(by_alias=True)
    return structural(raw, raw.get("$defs", {}))


def test_references_are_inlined_and_the_words_of_the_field_win() -> None:
    class Outer(BaseModel):
        inner: Inner | None = Field(default=None, description="Words of the field.")

    inner = rewritten(Outer)["properties"]["inner"]
    assert inner == {
        "description": "Words of the field.",
        "type": "object",
        "properties": {"a": {"description": "A.", "type": "integer", "default": 1}},
    }


def test_defaults_within_lists_are_dropped() -> None:
    class Outer(BaseModel):
        items: list[Inner]

    assert "default" not in rewritten(Outer)["properties"]["items"]["items"]["properties"]["a"]


def test_a_union_is_refused_by_name() -> None:
    class Outer(BaseModel):
        either: int | str

    with pytest.raises(SchemaError, match=r"^\.either: a union of 2 types"):
        rewritten(Outer)


def test_an_exclusive_bound_is_refused_by_name() -> None:
    class Outer(BaseModel):
        share: float = Field(gt=0)

    with pytest.raises(SchemaError, match=r"^\.share: exclusiveMinimum"):
        rewritten(Outer)


def test_an_untyped_field_is_refused_by_name() -> None:
    class Outer(BaseModel):
        anything: Any

    with pytest.raises(SchemaError, match=r"^\.anything: has no type"):
        rewritten(Outer)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object", "properties": {"a": {"type": "string", "maxLength": 1}}}, r"^\.a: has no description"),
        ({"type": "string"}, "has no maxLength"),
        ({"type": "array", "items": {"type": "integer"}}, "has no maxItems"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "has no maxProperties"),
        ({"type": "array", "maxItems": 1, "items": {"type": "string"}}, r"^\[\]: has no maxLength"),
    ],
)
def test_what_the_cost_budget_or_a_reader_would_miss_is_refused(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        check(schema)
