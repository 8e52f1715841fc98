from __future__ import annotations

import pytest

from slipway.registry.errors import InvalidDigest, InvalidName, UnsafePath
from slipway.registry.names import ModelRef, check_alias, check_digest, check_path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("breast-cancer", "default/breast-cancer"),
        ("team/breast-cancer", "team/breast-cancer"),
        ("breast-cancer@champion", "default/breast-cancer@champion"),
        ("team/breast-cancer:7", "team/breast-cancer:7"),
        (" m.v2:12 ", "default/m.v2:12"),
        ("m@latest", "default/m@latest"),
        (f"{'n' * 63}/{'.'.join(['m' * 63] * 3)}", f"{'n' * 63}/{'.'.join(['m' * 63] * 3)}"),
    ],
)
def test_references_are_read_as_people_write_them(text: str, shown: str) -> None:
    assert str(ModelRef.parse(text, "default")) == shown
    assert ModelRef.parse(shown) == ModelRef.parse(text, "default")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write namespace/model"),
        ("m", "has no namespace: write namespace/model"),
        ("a/b/c", "more than one '/'"),
        ("ns/", "model name is empty"),
        ("/m", "namespace is empty"),
        ("ns/Breast_Cancer", "perhaps 'breast-cancer'?"),
        ("ns/-m", "letter or digit at both ends"),
        ("ns/m..x", "not well formed"),
        ("ns/" + "m" * 300, "300 characters long, at most 253"),
        ("n" * 64 + "/m", "64 characters long, at most 63"),
        ("ns/mödel", "not well formed"),
        ("../m", "not well formed"),
        ("ns/..", "not well formed"),
        ("ns/m@", "ends with '@'"),
        ("ns/m@7", "write ns/m:7"),
        ("ns/m@v7", "write ns/m:7"),
        ("ns/m@Champion", "perhaps 'champion'?"),
        ("ns/m@champion:7", "both '@' and ':'"),
        ("ns/m:", "not a version number"),
        ("ns/m:v7", "write ns/m:7"),
        ("ns/m:007", "write ns/m:7"),
        ("ns/m:0", "versions count from 1"),
        ("ns/m:-1", "not a version number"),
        ("ns/m:champion", "ns/m@champion for an alias"),
        ("ns/m:1.5", "not a version number"),
        ("ns/m:²", "not a version number"),
        ("ns/m:" + "9" * 30, "out of range"),
    ],
)
def test_what_is_no_reference_is_refused_with_the_fix(text: str, words: str) -> None:
    with pytest.raises(InvalidName) as refusal:
        ModelRef.parse(text)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("alias", ["champion", "a", "prod-eu", "v", "v7a", "x" * 63])
def test_aliases_are_words(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("7", "looks like a version"),
        ("v7", "looks like a version"),
        ("V12", "looks like a version"),
        ("", "not well formed"),
        ("7a", "a letter first"),
        ("a_b", "perhaps 'a-b'?"),
        ("a/b", "not well formed"),
        ("..", "not well formed"),
        ("x" * 64, "at most 63"),
        ("latest", "reserved"),
    ],
)
def test_what_cannot_be_an_alias_is_refused(alias: str, words: str) -> None:
    with pytest.raises(InvalidName) as refusal:
        check_alias(alias)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("digest", "words"),
    [
        ("", "does not begin with 'sha256:'"),
        ("md5:abc", "does not begin with 'sha256:'"),
        ("sha256:abc", "has 3 characters"),
        ("sha256:" + "A" * 64, "something else than 0-9 and a-f"),
        ("sha256:" + "a" * 63 + "\n", "something else"),
        ("sha256:../../" + "a" * 58, "something else"),
    ],
)
def test_a_malformed_digest_is_refused_with_what_is_wrong(digest: str, words: str) -> None:
    with pytest.raises(InvalidDigest) as refusal:
        check_digest(digest)
    assert words in str(refusal.value)


@pytest.mark.parametrize("path", ["a", "a/b.onnx", "späth/日本", "a b", "..a/b..", "a:b", "...", "-rf"])
def test_plain_paths_pass(path: str) -> None:
    assert str(check_path(path)) == path


@pytest.mark.parametrize(
    "path",
    ["", "/a", "//a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "../a", "a\\b", "a\0b", "a\nb", "x" * 256, "y/" * 1100 + "y"],
)
def test_paths_that_could_leave_their_tree_or_mislead_are_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        check_path(path)
