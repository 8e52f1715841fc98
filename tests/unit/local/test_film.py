"""The moving picture of a terminal."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ElementTree

from local.demo.film import Film

SVG = "{http://www.w3.org/2000/svg}"
PROGRAM = "import sys; print('\\x1b[31mheld <2>\\x1b[0m'); sys.exit(3)"


def test_what_a_program_writes_is_in_the_picture_and_its_exit_code_is_told() -> None:
    film = Film()
    film.say("\x1b[1m$ watch\x1b[0m\n", 1.0)
    assert film.run([sys.executable, "-c", PROGRAM], os.environ) == 3
    film.say("(exit code 3)\n")
    picture = ElementTree.fromstring(film.svg("a & b"))  # our own file
    words = {span.text: span.get("class") for span in picture.iter(f"{SVG}tspan")}
    assert words == {"$ watch": "b", "held <2>": "red", "(exit code 3)": None}
    drawn = picture.findall(f".//{SVG}g[@id='f']/{SVG}g")
    assert len(drawn) == len(film.frames)
    names = {text.get("id") for text in picture.iter(f"{SVG}text")} - {None}
    assert {use.get("href") for use in picture.iter(f"{SVG}use")} == {f"#{name}" for name in names}
    assert len(drawn[-1]) == 3, "three lines at the end"
    assert "http" not in film.svg("").replace("http://www.w3.org/2000/svg", ""), "nothing is loaded from elsewhere"


def test_a_line_that_is_written_again_takes_the_place_of_the_old_one() -> None:
    film = Film()
    film.say("waiting\n", 1.0)
    film.say("\x1b[1A\x1b[2Kdone\n", 1.0)
    assert ["".join(run[0] for run in rows[0]) for _, rows in film.frames] == ["waiting", "done"]
