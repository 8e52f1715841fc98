"""Lists, pages and hints of the registry's commands: what a person sees who mistyped, or has too much to look through."""

from __future__ import annotations

import json

import pytest

from slipway.cli.lazy import load
from slipway.cli.main import COMMANDS
from slipway.registry.registry import Registry
from tests.integration.cli.helpers import Cli, register
from tests.unit.cli.test_commands import leaves


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("words", [("models",), ("model", "versions", "bc"), ("search",)])
def test_wide_shows_more_columns_and_whole_digests(cli: Cli, registry: Registry, words: tuple[str, ...]) -> None:
    digest = register(registry).digest
    narrow, wide = cli(*words), cli(*words, "-o", "wide")
    assert wide.exit_code == 0, wide.stderr
    assert set(rows(narrow.stdout)[0]) < set(rows(wide.stdout)[0])
    assert digest in wide.stdout
    assert digest not in narrow.stdout
    assert "accuracy=0.95, roc_auc=0.99" in wide.stdout


def test_models_come_in_pages_that_say_how_to_go_on(cli: Cli, registry: Registry) -> None:
    for name in ("default/a", "default/b", "default/c", "team/a"):
        register(registry, name)
    first = cli("models", "--limit", "2", "-o", "name")
    assert (first.stdout.split(), first.stderr.strip()) == (["a", "b"], "2 of 3 models; --after b shows the next.")
    assert cli("models", "--limit", "2", "--after", "b", "-o", "name").stdout.split() == ["c"]
    everywhere = cli("models", "-A", "--limit", "3", "-o", "name")
    assert "--after default/c shows the next" in everywhere.stderr
    assert cli("models", "-A", "--after", "default/c", "-o", "name").stdout.split() == ["team/a"]
    assert cli("models", "--after", "c").stderr.startswith("There are no more models")


def test_versions_come_in_pages_that_say_how_to_go_on(cli: Cli, registry: Registry) -> None:
    for seed in range(4):
        register(registry, seed=seed)
    first = cli("model", "versions", "bc", "--limit", "3", "-o", "name")
    assert first.stdout.split() == ["default/bc:4", "default/bc:3", "default/bc:2"]
    assert first.stderr.strip() == "There is 1 older version; --before 2 shows the next."
    last = cli("model", "versions", "bc", "--before", "2", "-o", "name")
    assert (last.stdout.split(), last.stderr) == (["default/bc:1"], "")


def test_a_version_of_a_newer_slipway_hides_no_other(cli: Cli, registry: Registry) -> None:
    for seed in range(2):
        register(registry, seed=seed)
    register(registry, "default/other")
    key = "models/default/bc/versions/000000000002.json"
    stored = registry.store.get(key).data
    registry.store.put(key, stored.replace(b'"schemaVersion":1', b'"schemaVersion":9'))
    listed = cli("model", "versions", "bc")
    assert listed.exit_code == 0
    assert [row[0] for row in rows(listed.stdout)] == ["VERSION", "1"]
    assert "default/bc:2 cannot be read" in listed.stderr
    assert "upgrade slipway" in listed.stderr
    models = cli("models")
    assert [row[0] for row in rows(models.stdout)] == ["NAME", "bc", "other"]
    assert "upgrade slipway" in models.stderr
    bc, other = json.loads(cli("models", "-o", "json").stdout)
    assert (bc["latest"], "upgrade slipway" in bc["problem"]) == (2, True)
    assert "problem" not in other


def test_a_name_that_no_version_has_is_told_from_no_match(cli: Cli, registry: Registry) -> None:
    register(registry)
    wrong = cli("search", "metrics.rocauc > 0.5 and params.C < 1")
    assert wrong.stderr.splitlines() == ["No version has metrics.rocauc. Did you mean metrics.roc_auc?", "No version matches."]
    registry.update_index()
    assert "Did you mean metrics.roc_auc?" in cli("search", "metrics.rocauc > 0.5").stderr
    assert cli("search", "metrics.roc_auc > 2 and tags.team is null").stderr.splitlines() == [
        "No version has tags.team.",
        "No version matches.",
    ]
    assert cli("search", "metrics.roc_auc > 2").stderr.splitlines() == ["No version matches."]


def test_a_model_that_is_not_here_may_be_elsewhere(cli: Cli, registry: Registry) -> None:
    register(registry, "team/churn")
    register(registry, "default/bc")
    assert "Did you mean team/churn?" in cli("model", "show", "churn").stderr
    assert "Namespace default has 1 model: bc." in cli("model", "show", "zebra").stderr
    assert "Namespace empty has no models." in cli("-n", "empty", "model", "show", "zebra").stderr


def test_a_version_may_be_written_with_its_model(cli: Cli, registry: Registry) -> None:
    register(registry)
    assert cli("alias", "set", "bc@champion", "bc:1").exit_code == 0
    assert registry.resolve("default/bc@champion").version == 1
    other = cli("alias", "set", "bc@champion", "churn:1")
    assert (other.exit_code, "'churn:1' is no version of default/bc" in other.stderr) == (2, True)


def test_words_that_are_too_many_are_answered_with_how_to_write_it(cli: Cli) -> None:
    told = cli("alias", "set", "bc", "champion", "3")
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
    assert "write slipway alias set NAME@ALIAS VERSION" in told.stderr


def test_a_form_that_there_is_not_names_those_that_there_are(cli: Cli) -> None:
    told = cli("model", "show", "bc", "-o", "xml")
    assert told.exit_code == 2
    assert "'xml' is not one of 'table', 'json', 'yaml', 'name'" in told.stderr
    assert "Value error" not in told.stderr


def test_no_line_of_a_list_of_commands_is_cut_off() -> None:
    for name, entry in COMMANDS.items():
        for path, command in leaves(name, load(name, entry)):
            if path != name:  # those of the first level have a line of their own
                assert not command.get_short_help_str(limit=62).endswith("..."), f"{path}: {command.help}"


def test_lineage_and_difference_are_short_enough_to_read(cli: Cli, registry: Registry) -> None:
    old, new = register(registry), register(registry, seed=1)
    registry.move_alias("default/bc", "champion", 2, by="ann")
    shown = cli("lineage", "bc:2").stdout
    assert "Z, by ann" in shown
    assert "+00:00" not in shown
    assert "reason \n" not in shown
    told = cli("diff", "bc:1", "bc:2")
    assert old.files[0].digest not in told.stdout
    assert new.files[0].digest[:19] in told.stdout
    assert new.files[0].digest in cli("diff", "bc:1", "bc:2", "-o", "json").stdout
