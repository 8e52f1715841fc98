"""Log lines as machines and people read them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from slipway.telemetry import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_what_was_given_beside_the_message() -> None:
    stream = io.StringIO()
    logs.setup("json", "info", stream)
    logging.getLogger("slipway.x").info("%s: done\nnext", "key", extra={"seconds": 0.5, "reason": ""})
    (line,) = lines(stream)
    assert line["message"] == "key: done\nnext"
    assert (line["level"], line["logger"], line["seconds"]) == ("info", "slipway.x", 0.5)
    assert "reason" not in line


def test_an_exception_is_part_of_its_line() -> None:
    stream = io.StringIO()
    logs.setup("json", "INFO", stream)
    try:
        raise ValueError("a bug")
    except ValueError:
        logging.getLogger("slipway.x").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: a bug" in str(line["exception"])


def test_what_json_cannot_hold_is_told_as_text() -> None:
    stream = io.StringIO()
    logs.setup("json", "INFO", stream)
    logging.getLogger("slipway.x").info("x", extra={"thing": object()})
    assert "object object" in str(lines(stream)[0]["thing"])


def test_text_is_for_people_and_levels_count() -> None:
    stream = io.StringIO()
    logs.setup("text", "WARNING", stream)
    logging.getLogger("slipway.x").info("quiet")
    logging.getLogger("slipway.x").warning("loud")
    assert stream.getvalue().endswith("WARNING slipway.x: loud\n")
    assert "quiet" not in stream.getvalue()


def test_libraries_do_not_tell_of_each_request() -> None:
    stream = io.StringIO()
    logs.setup("json", "INFO", stream)
    logging.getLogger("httpx2").info("GET https://…")
    logging.getLogger("kopf.objects").info("handler succeeded")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("form", "level"), [("xml", "INFO"), ("json", "LOUD")])
def test_settings_that_make_no_sense_are_refused(form: str, level: str) -> None:
    with pytest.raises(ValueError):
        logs.setup(form, level)
