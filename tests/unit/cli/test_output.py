from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from slipway.cli import output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (119.9, "119s"), (120, "2m"), (125, "2m5s"), (600, "10m"), (10799, "179m"), (10800, "3h"), (172800, "2d")],
)
def test_lengths_of_time_are_said_as_kubectl_says_them(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


def test_an_age_that_is_not_known_is_empty() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert output.age(None, now) == ""
    assert output.age(now - timedelta(seconds=42), now) == "42s"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (3 << 50, "3072.0 TiB")]
)
def test_sizes_are_said_in_binary_units(count: int, text: str) -> None:
    assert output.size(count) == text


def test_digests_are_shortened_and_names_kept() -> None:
    digest = "sha256:" + "a" * 64
    assert output.short(digest) == "sha256:aaaaaaaaaaaa"
    assert output.short_image(f"host:5000/api@{digest}") == "host:5000/api@sha256:aaaaaaaaaaaa"
    assert output.short_image("host:5000/api:v1") == "host:5000/api:v1"


def test_text_of_others_loses_what_moves_the_cursor() -> None:
    assert output.clean("a\x1b[31mb\x9bc\r\nd\te‮f é 漢") == "a\ufffd[31mb\ufffdc\ufffd d e\ufffdf é 漢"


def test_times_are_shown_in_utc() -> None:
    berlin = datetime.fromisoformat("2026-11-03T13:00:00.5+01:00")
    assert output.moment(berlin) == "2026-11-03T12:00:00Z"


def test_cells_are_not_cut_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["A", "B"], [["x" * 300, "[bold]not markup[/bold]"], ["", ":smile:"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["x" * 300, "[bold]not", "markup[/bold]"]
    assert lines[2].split() == [":smile:"]
    assert all(line == line.rstrip() for line in lines)


def test_json_and_yaml_keep_order_and_letters(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"b": "größer", "a": None}, "json")
    assert capsys.readouterr().out == '{\n  "b": "größer",\n  "a": null\n}\n'
    output.emit({"b": "größer", "a": None}, "yaml")
    assert capsys.readouterr().out == "b: größer\na: null\n"
