"""Commands of the model registry, as a person and as a script use them. No cluster is there."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import yaml

from slipway.cli import transfer
from slipway.registry.records import VersionRecord
from slipway.registry.registry import Registry
from tests.integration.cli.helpers import Cli, onnx_file, register

read_signature = transfer._signature


@pytest.fixture(autouse=True)
def no_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model files here are ONNX in structure only."""
    monkeypatch.setattr(transfer, "_signature", lambda _model, _kind: None)


# ---- register ----


def test_what_an_onnx_model_takes_and_gives_is_recorded(
    cli: Cli, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnx import TensorProto, helper

    monkeypatch.setattr(transfer, "_signature", read_signature)
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 30])
    given = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 30])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [taken], [given])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert cli("model", "register", "bc", str(tmp_path / "m.onnx")).exit_code == 0
    signature = registry.get("default/bc", 1).signature
    assert signature is not None
    assert [(t.name, t.datatype, t.shape) for t in signature.inputs] == [("x", "FP32", (-1, 30))]
    broken = cli("model", "register", "bc", str(onnx_file(tmp_path / "broken.onnx")))
    assert (broken.exit_code, broken.stderr.count("\n")) == (1, 1)
    assert "ONNX Runtime cannot load broken.onnx" in broken.stderr


def test_register_prints_what_scripts_rely_on(cli: Cli, tmp_path: Path, registry: Registry) -> None:
    model = onnx_file(tmp_path / "model.onnx")
    facts = "--metric auc=0.9 --param C=0.3 --param n=7 --param on=true --param who=ann --tag a=b"
    result = cli("model", "register", "bc", str(model), *facts.split(), "--alias", "champion", "-o", "json")
    assert result.exit_code == 0, result.stderr
    record = registry.get("default/bc", 1)
    assert json.loads(result.stdout) == {"model": "default/bc", "version": 1, "digest": record.digest}
    assert record.metrics == {"auc": 0.9}
    assert record.params == {"C": 0.3, "n": 7, "on": True, "who": "ann"}
    assert record.tags == {"a": "b"}
    assert (record.format, record.files[0].path, record.builder) == ("onnx", "model.onnx", "slipway model register (ann)")
    move = registry.alias("default/bc", "champion")
    assert move is not None
    assert (move.version, move.by) == (1, "ann")


def test_registering_the_same_twice_gives_the_same_version(cli: Cli, tmp_path: Path) -> None:
    model = onnx_file(tmp_path / "model.onnx")
    first = cli("model", "register", "bc", str(model), "--metric", "auc=0.9", "-o", "json")
    again = cli("model", "register", "bc", str(model), "--metric", "auc=0.9", "-o", "json")
    other = cli("model", "register", "bc", str(model), "--metric", "auc=0.8", "-o", "json")
    forced = cli("model", "register", "bc", str(model), "--metric", "auc=0.9", "--new", "-o", "json")
    assert [json.loads(r.stdout)["version"] for r in (first, again, other, forced)] == [1, 1, 2, 3]


def test_a_folder_is_registered_with_its_structure(cli: Cli, tmp_path: Path, registry: Registry) -> None:
    onnx_file(tmp_path / "m" / "onnx" / "model.onnx")
    (tmp_path / "m" / "README.md").write_text("hello")
    assert cli("model", "register", "team/bc", str(tmp_path / "m")).exit_code == 0
    assert [entry.path for entry in registry.get("team/bc", 1).files] == ["README.md", "onnx/model.onnx"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["bc:3", "MODEL"], 2, "the registry chooses the version"),
        (["bc@champion", "MODEL"], 2, "give the model's name alone"),
        (["Breast_Cancer", "MODEL"], 2, "perhaps 'breast-cancer'"),
        (["b" * 300, "MODEL"], 2, "300 characters long"),
        (["a/b/c", "MODEL"], 2, "more than one '/'"),
        (["bc", "MISSING"], 2, "does not exist"),
        (["bc", "MODEL", "--metric", "auc"], 2, "--metric name=value"),
        (["bc", "MODEL", "--metric", "auc=high"], 2, "a metric is a finite number"),
        (["bc", "MODEL", "--metric", "auc=nan"], 2, "a metric is a finite number"),
        (["bc", "MODEL", "--metric", "auc=1", "--metric", "auc=2"], 2, "auc: given twice"),
        (["bc", "MODEL", "--param", "=3"], 2, "--param name=value"),
        (["bc", "MODEL", "--param", "C=[1]"], 2, "params.C"),
        (["bc", "MODEL", "--alias", "v7"], 2, "looks like a version"),
        (["bc", "MODEL", "--alias", "latest"], 2, "reserved"),
        (["bc", "PICKLE"], 1, "pickle"),
        (["bc", "TEXT"], 1, "neither ONNX nor skops"),
        (["bc", "EMPTY"], 2, "holds no file"),
        (["bc", "TWO"], 1, "more than one model"),
    ],
)
def test_wrong_input_is_refused_with_the_fix_and_nothing_is_registered(
    cli: Cli, tmp_path: Path, registry: Registry, words: list[str], code: int, says: str
) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "notes.txt").write_text("not a model")
    (tmp_path / "empty").mkdir()
    onnx_file(tmp_path / "two" / "a.onnx", b"a")
    onnx_file(tmp_path / "two" / "b.onnx", b"b")
    paths = {
        "MODEL": onnx_file(tmp_path / "model.onnx"),
        "MISSING": tmp_path / "nowhere.onnx",
        "PICKLE": tmp_path / "model.pkl",
        "TEXT": tmp_path / "notes.txt",
        "EMPTY": tmp_path / "empty",
        "TWO": tmp_path / "two",
    }
    result = cli("model", "register", *(str(paths.get(word, word)) for word in words))
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert registry.models() == []


# ---- reading ----


def test_models_lists_one_namespace_or_all(cli: Cli, registry: Registry) -> None:
    register(registry)
    register(registry, seed=1)
    register(registry, "team/fraud")
    registry.move_alias("default/bc", "champion", 1, by="ann")
    own = cli("models").stdout.splitlines()
    assert own[0].split() == ["NAME", "LATEST", "ALIASES", "FORMAT", "AGE"]
    assert own[1].split()[:4] == ["bc", "2", "champion=1", "onnx"]
    assert len(own) == 2
    everything = cli("models", "-A").stdout.splitlines()
    assert [line.split()[:2] for line in everything[1:]] == [["default", "bc"], ["team", "fraud"]]
    assert cli("models", "-n", "team", "-o", "name").stdout == "fraud\n"
    assert cli("-n", "team", "models", "-o", "name").stdout == "fraud\n"
    assert cli("-n", "default", "models", "-n", "team", "-o", "name").stdout == "fraud\n"
    assert cli("models", "-A", "-o", "name").stdout == "default/bc\nteam/fraud\n"
    found = json.loads(cli("models", "-o", "json").stdout)
    assert [(m["model"], m["latest"], m["aliases"]) for m in found] == [("default/bc", 2, {"champion": 1})]


def test_models_of_an_empty_registry_says_so_without_an_error(cli: Cli) -> None:
    result = cli("models")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "There are no models in namespace default" in result.stderr
    assert json.loads(cli("models", "-o", "json").stdout) == []


@pytest.mark.parametrize("ref", ["bc:2", "bc@champion", "bc", "bc@latest", "default/bc:2"])
def test_model_show_prints_the_record_as_it_is_stored(cli: Cli, registry: Registry, ref: str) -> None:
    register(registry)
    record = register(registry, seed=1)
    registry.move_alias("default/bc", "champion", 2, by="ann")
    printed = cli("model", "show", ref, "-o", "json")
    assert VersionRecord.model_validate(json.loads(printed.stdout)) == record
    assert yaml.safe_load(cli("model", "show", ref, "-o", "yaml").stdout) == json.loads(printed.stdout)
    assert cli("model", "show", ref, "-o", "name").stdout == "default/bc:2\n"


def test_model_show_tells_a_person_what_counts(cli: Cli, registry: Registry) -> None:
    record = register(registry)
    registry.move_alias("default/bc", "champion", 1, by="ann")
    shown = cli("model", "show", "bc@champion").stdout
    parts = ("default/bc:1", "champion", "roc_auc 0.99", "roc_auc 0.99 ≥ 0.95", "C = 0.3", "train.log", "roc.html")
    for expected in (record.digest, *parts):
        assert expected in shown


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["model", "show", "bcc"], 3, "Did you mean default/bc?"),
        (["model", "show", "bc:9"], 3, "it has 1 to 1"),
        (["model", "show", "bc@champoin"], 3, "default/bc@champion"),
        (["model", "show", "bc@7"], 2, "write bc:7"),
        (["model", "show", "bc:v7"], 2, "write bc:7"),
        (["model", "show", "bc:champion"], 2, "bc@champion for an alias"),
        (["model", "show", "bc@"], 2, "champion"),
        (["model", "show", ""], 2, "empty"),
        (["model", "show", "n" * 300], 2, "characters long"),
        (["model", "show", "bc@champion:1"], 2, "both"),
        (["model", "show", "\x1b[31mred"], 2, "not well formed"),
        (["model", "versions", "bcc"], 3, "Did you mean default/bc?"),
        (["history", "bc@champoin"], 3, "default/bc@champion"),
        (["history", "bc:1"], 2, "versions never move"),
        (["history", "bc@champion", "--at", "yesterday"], 2, "2026-11-03T12:00Z"),
        (["history", "bc@champion", "--at", "2026-11-03T12:00"], 2, "time zone"),
        (["alias", "set", "bc", "1"], 2, "write NAME@ALIAS"),
        (["alias", "set", "bc@champion", "9"], 3, "it has 1 to 1"),
        (["alias", "set", "bc@champion", "seven"], 2, "not a version number"),
        (["alias", "set", "bc@latest", "1"], 2, "reserved"),
        (["alias", "remove", "bc@nothing"], 3, "no alias nothing"),
        (["alias", "list", "bcc"], 3, "Did you mean default/bc?"),
        (["artifacts", "bc:7"], 3, "it has 1 to 1"),
        (["logs", "bcc"], 3, "slipway logs modelbuild/bcc"),
        (["models", "-o", "xml"], 2, "xml"),
        (["models", "--nonsense"], 2, "--nonsense"),
        (["modles"], 2, "did you mean models"),
        (["frobnicate"], 2, "slipway --help"),
        (["model", "shwo", "bc"], 2, "show"),
    ],
)
def test_what_is_not_there_or_not_meant_is_one_line_with_the_fix(
    cli: Cli, registry: Registry, words: list[str], code: int, says: str
) -> None:
    register(registry)
    registry.move_alias("default/bc", "champion", 1, by="ann")
    result = cli(*words)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert says in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "\x1b" not in result.stderr


def test_a_registry_that_is_not_named_is_asked_for(cli: Cli) -> None:
    for words in (["models"], ["model", "show", "bc"], ["history", "bc@champion"], ["probe"]):
        result = cli(*words, SLIPWAY_REGISTRY="")
        assert result.exit_code == 2
        assert "--registry s3://bucket/prefix or set SLIPWAY_REGISTRY" in result.stderr


def test_the_option_goes_before_the_environment(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    register(registry)
    other = Registry.open(f"file://{tmp_path}/other")
    register(other, "default/elsewhere")
    assert cli("models", "-o", "name", "--registry", other.store.uri).stdout == "elsewhere\n"
    assert cli("models", "-o", "name").stdout == "bc\n"


def test_an_unusable_registry_uri_is_wrong_usage(cli: Cli) -> None:
    result = cli("models", "--registry", "https://user:secret@host/x")
    assert result.exit_code == 2
    assert "s3://bucket/prefix" in result.stderr
    assert "secret" not in result.output


def test_bare_names_mean_the_namespace_of_the_kube_context(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    register(registry, "team/fraud")
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "a",
                "contexts": [
                    {"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
                    {"name": "b", "context": {"cluster": "c", "user": "u"}},
                ],
            }
        )
    )
    assert cli("model", "show", "fraud", "-o", "name", KUBECONFIG=str(kubeconfig)).stdout == "team/fraud:1\n"
    assert cli("model", "show", "fraud", "-o", "name", "--kubeconfig", str(kubeconfig)).stdout == "team/fraud:1\n"
    assert cli("model", "show", "fraud", "--context", "b", KUBECONFIG=str(kubeconfig)).exit_code == 3
    wrong = cli("model", "show", "fraud", "--context", "c", KUBECONFIG=str(kubeconfig))
    assert wrong.exit_code == 2
    assert "a, b" in wrong.stderr
    # a full name asks no kubeconfig, not even a broken one
    kubeconfig.write_text("{")
    assert cli("model", "show", "team/fraud", KUBECONFIG=str(kubeconfig)).exit_code == 0
    broken = cli("model", "show", "fraud", KUBECONFIG=str(kubeconfig))
    assert broken.exit_code == 1
    assert f"kubeconfig {kubeconfig}" in broken.stderr


def test_versions_are_listed_newest_first_in_pages(cli: Cli, registry: Registry) -> None:
    for seed in range(5):
        register(registry, seed=seed)
    registry.move_alias("default/bc", "champion", 4, by="ann")
    lines = cli("model", "versions", "bc", "--limit", "2").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["5", "-"], ["4", "champion"]]
    assert "accuracy=0.95, roc_auc=0.994" in lines[1]
    assert cli("model", "versions", "bc", "--before", "3", "-o", "name").stdout == "default/bc:2\ndefault/bc:1\n"
    assert cli("model", "versions", "bc", "--before", "1", "-o", "name").stdout == ""


# ---- aliases ----


def test_history_shows_refused_promotions_and_scripts_still_read_moves(cli: Cli, registry: Registry) -> None:
    for number in range(3):
        register(registry, seed=number)
    registry.move_alias("default/bc", "champion", 1, by="ann", reason="first")
    registry.refuse("default/bc", "champion", 2, by="bob", reason="worse on the newest month")
    registry.refuse("default/bc", "canary", 3, by="ModelBuild default/bc", reason="nobody came", expired=True)
    shown = cli("history", "bc@champion").stdout
    assert shown.index("2 refused") < shown.index("→ 1"), "newest first"
    assert "worse on the newest month" in shown
    assert "3 not approved in time" in cli("history", "bc").stdout
    assert "3 not approved in time" in cli("history", "bc@canary").stdout, "an alias that was never set"
    assert [move["version"] for move in json.loads(cli("history", "bc@champion", "-o", "json").stdout)] == [1]
    both = json.loads(cli("history", "bc@champion", "--refusals", "-o", "json").stdout)
    assert [(entry["version"], entry.get("outcome")) for entry in both] == [(2, "refused"), (1, None)]


def test_history_is_newest_first_with_the_fields_that_scripts_rely_on(cli: Cli, registry: Registry) -> None:
    register(registry)
    register(registry, seed=1)
    assert cli("alias", "set", "bc@champion", "1", "--reason", "first").exit_code == 0
    assert cli("alias", "set", "bc@champion", "2").exit_code == 0
    moves = json.loads(cli("history", "bc@champion", "-o", "json").stdout)
    assert [list(move) for move in moves] == [["version", "previous", "at", "by", "reason"]] * 2
    assert [(m["version"], m["previous"], m["by"], m["reason"]) for m in moves] == [(2, 1, "ann", ""), (1, None, "ann", "first")]
    at = moves[1]["at"]
    then = json.loads(cli("history", "bc@champion", "--at", at, "-o", "json").stdout)
    assert [move["version"] for move in then] == [1]
    never = cli("history", "bc@champion", "--at", "2001-01-01T00:00Z")
    assert (never.exit_code, never.stdout) == (0, "")
    assert "was not set by 2001-01-01T00:00:00Z" in never.stderr
    assert [move["version"] for move in json.loads(cli("history", "bc@champion", "--limit", "1", "-o", "json").stdout)] == [2]


def test_history_of_a_model_shows_all_its_aliases(cli: Cli, registry: Registry) -> None:
    register(registry)
    cli("alias", "set", "bc@champion", "1")
    cli("alias", "set", "bc@best", "1")
    moves = json.loads(cli("history", "bc", "-o", "json").stdout)
    assert [(m["alias"], m["version"]) for m in moves] == [("best", 1), ("champion", 1)]


def test_a_move_that_lost_to_another_ends_with_4(cli: Cli, registry: Registry) -> None:
    register(registry)
    register(registry, seed=1)
    assert cli("alias", "set", "bc@champion", "1", "--expected", "0").exit_code == 0
    lost = cli("alias", "set", "bc@champion", "2", "--expected", "0")
    assert lost.exit_code == 4
    assert "at version 1" in lost.stderr
    assert cli("alias", "set", "bc@champion", "2", "--expected", "1").exit_code == 0
    again = cli("alias", "set", "bc@champion", "2")
    assert (again.exit_code, again.stdout) == (0, "default/bc@champion is version 2 already, nothing to do\n")


def test_an_alias_is_taken_away_and_its_history_stays(cli: Cli, registry: Registry) -> None:
    register(registry)
    cli("alias", "set", "bc@champion", "1")
    assert cli("alias", "remove", "bc@champion").stdout == "default/bc@champion is taken away (was version 1)\n"
    assert "taken away on" in cli("model", "show", "bc@champion").stderr
    assert [move["version"] for move in json.loads(cli("history", "bc@champion", "-o", "json").stdout)] == [None, 1]
    assert cli("alias", "list", "bc").stdout.splitlines()[1:] == []


def test_reasons_of_other_people_cannot_move_the_cursor(cli: Cli, registry: Registry) -> None:
    register(registry)
    registry.move_alias("default/bc", "champion", 1, by="mallory\x1b[2J", reason="\x1b]0;owned\x07line\nline")
    for words in (["history", "bc@champion"], ["alias", "list", "bc"]):
        shown = cli(*words).stdout
        assert "mallory" in shown
        assert not any(ord(c) < 32 and c != "\n" for c in shown)


# ---- files ----


def test_artifacts_are_listed_and_fetched_whole(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    record = register(registry)
    lines = cli("artifacts", "bc:1").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["model", "model.onnx"], ["reports", "roc.html"], ["logs", "train.log"]]
    listed = json.loads(cli("artifacts", "bc:1", "-o", "json").stdout)
    assert listed[0] == {
        "kind": "model",
        "path": "model.onnx",
        "digest": record.files[0].digest,
        "size": 7,
        "mediaType": "application/vnd.onnx",
    }
    into = tmp_path / "out"
    assert cli("artifacts", "bc:1", "--fetch", str(into)).exit_code == 0
    assert (into / "model" / "model.onnx").read_bytes() == b"model 0"
    assert (into / "reports" / "roc.html").read_bytes() == b"<html>"
    assert (into / "logs" / "train.log").read_bytes() == b"epoch 0\ndone\n"
    assert VersionRecord.model_validate_json((into / "version.json").read_bytes()) == record


def test_pull_brings_the_model_and_says_which(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    record = register(registry)
    result = cli("model", "pull", "bc", str(tmp_path / "here"), "-o", "json")
    assert json.loads(result.stdout) == {
        "model": "default/bc",
        "version": 1,
        "digest": record.digest,
        "directory": str(tmp_path / "here"),
    }
    assert (tmp_path / "here" / "model.onnx").read_bytes() == b"model 0"


def test_a_corrupt_or_missing_file_is_told_and_never_left_behind(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    record = register(registry)
    key = registry.blobs.key(record.files[0].digest)
    registry.store.put(key, b"rotten!")
    corrupt = cli("model", "pull", "bc", str(tmp_path / "here"))
    assert corrupt.exit_code == 1
    assert "corrupt" in corrupt.stderr
    assert not (tmp_path / "here" / "model.onnx").exists()
    registry.store.delete(key)
    assert cli("model", "pull", "bc", str(tmp_path / "here")).exit_code == 3


def test_the_log_of_a_version_is_printed_as_it_was_written(cli: Cli, registry: Registry) -> None:
    register(registry)
    register(registry, seed=1, logs=())
    assert cli("logs", "bc:1").stdout == "epoch 0\ndone\n"
    none = cli("logs", "bc")
    assert none.exit_code == 3
    assert "default/bc:2 has no log" in none.stderr
    assert cli("logs", "bc:1", "-f").exit_code == 2


def test_the_store_is_probed(cli: Cli) -> None:
    result = cli("probe", "-o", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"] is True
    assert cli("probe").stdout.count("\n") == 1


def test_a_store_that_is_unfit_ends_with_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.storage.probe import ProbeReport

    monkeypatch.setattr("slipway.storage.probe.probe", lambda _store: ProbeReport("Refused", "it ignores If-None-Match"))
    result = cli("probe")
    assert (result.exit_code, result.stdout) == (1, "it ignores If-None-Match\n")
