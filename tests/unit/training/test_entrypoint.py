from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.training.entrypoint import describe, load_entrypoint, parse_entrypoint
from slipway.training.errors import EntrypointInvalid

COUNTER = iter(range(10_000))


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    """A name for a module under tmp_path that no other test imports."""
    before = list(sys.path)
    name = f"training_script_{next(COUNTER)}"
    yield name
    sys.path[:] = before
    sys.modules.pop(name, None)


def write(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code)


@pytest.mark.parametrize("text", ["train:main", "a.b.c:run_it", "_x:_y"])
def test_a_well_formed_entrypoint_is_taken_apart(text: str) -> None:
    assert ":".join(parse_entrypoint(text)) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("train-main", ""),
        ("train", "did you mean train:main"),
        ("train.py", "did you mean train:main"),
        ("src/train.py", "src.train:main"),
    ],
)
def test_a_malformed_entrypoint_says_how_to_write_one(text: str, hint: str) -> None:
    with pytest.raises(EntrypointInvalid, match=f"write module:function.*{hint}"):
        parse_entrypoint(text)


@pytest.mark.parametrize("text", ["", ":", "a:", ":b", "a:b:c", "a b:c", "1a:b", "a:b()", "a..b:c", "a:b.c", "os; import sys:x"])
def test_other_malformed_entrypoints_are_refused(text: str) -> None:
    with pytest.raises(EntrypointInvalid):
        parse_entrypoint(text)


def test_the_function_is_loaded(tmp_path: Path, module: str) -> None:
    write(tmp_path, module, "def main(run):\n    return run * 2\n")
    assert load_entrypoint(f"{module}:main", tmp_path)(21) == 42


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import nothing_like_this\ndef main(run): pass",
            r"No module named 'nothing_like_this' \(.*:1 in <module>\).*training image",
        ),
        ("def main(run) pass", "does not import: SyntaxError"),
        ("raise ValueError('boom')", r"does not import: ValueError: boom \(.*:1 in <module>\)"),
        ("import sys; sys.exit(3)", r"does not import: sys.exit\(3\)"),
        ("def mian(run): pass", "has no 'main'; did you mean mian?"),
        ("x = 1", "has no 'main'; it has no functions"),
        ("main = 3", "is a int, not a function"),
        ("async def main(run): pass", "is an async function"),
        ("def main(): pass", "called with one argument.*too many positional"),
        ("def main(run, other): pass", "called with one argument.*missing a required argument: 'other'"),
    ],
)
def test_each_way_to_be_wrong_is_told_apart(tmp_path: Path, module: str, code: str, message: str) -> None:
    write(tmp_path, module, code)
    with pytest.raises(EntrypointInvalid, match=message):
        load_entrypoint(f"{module}:main", tmp_path)


def test_a_missing_module_names_what_the_source_has(tmp_path: Path, module: str) -> None:
    write(tmp_path, "train", "")
    with pytest.raises(EntrypointInvalid, match=f"the source has no module '{module}'; it has train"):
        load_entrypoint(f"{module}:main", tmp_path)
    with pytest.raises(EntrypointInvalid, match=r"no module 'trian'; did you mean train\?"):
        load_entrypoint("trian:main", tmp_path)


def test_an_exception_is_described_by_the_users_own_last_line(tmp_path: Path, module: str) -> None:
    write(tmp_path, module, "import json\ndef main(run):\n    json.loads('{')\n")
    function = load_entrypoint(f"{module}:main", tmp_path)
    with pytest.raises(ValueError) as caught:
        function(None)
    assert describe(caught.value, tmp_path).endswith(f"({module}.py:3 in main)")
    assert describe(caught.value, tmp_path).startswith("JSONDecodeError: ")
