from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slipway.cli.logs import new_part


def test_only_what_is_new_is_shown() -> None:
    assert new_part(b"", b"one\n") == b"one\n"
    assert new_part(b"one\n", b"one\n") == b""
    assert new_part(b"one\n", b"one\ntwo\n") == b"two\n"


def test_a_log_whose_start_was_cut_off_is_continued() -> None:
    old = b"".join(b"line %d\n" % n for n in range(2000))
    assert new_part(old, old[500:] + b"more\n") == b"more\n"


def test_a_log_that_began_anew_is_shown_whole() -> None:
    assert new_part(b"first container\n", b"another one\n") == b"another one\n"


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_pieces_of_a_growing_log_add_up(before: bytes, more: bytes) -> None:
    assert new_part(before, before + more) == more
