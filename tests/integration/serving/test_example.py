"""examples/03-serving, as its README says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from bench.serving.envs import peer_python
from local.browser import need_chromium
from tests.fakes.serving import SOURCE, serving
from tests.fakes.stores import unused_port

EXAMPLE = SOURCE.parent / "examples" / "03-serving"


def run(*words: str | Path) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_example(tmp_path: Path) -> None:
    folder, port = tmp_path / "wine", unused_port()
    run(sys.executable, EXAMPLE / "train.py", folder)
    with serving(tmp_path, f"--model={folder}", f"--grpc-port={port}") as own:
        v2, v1, records = (json.loads(line) for line in run("sh", EXAMPLE / "ask.sh", own.url).splitlines())
        assert v2["outputs"][0]["data"] == [0]
        assert v1["predictions"][0]["label"] == 0
        assert records["predictions"][0]["label"] == 0
        asked = run(peer_python("clients"), EXAMPLE / "ask.py", own.address, f"127.0.0.1:{port}")
        assert asked.count("[0]") == 2
        _in_a_browser(own.url)


def _in_a_browser(url: str) -> None:
    """The page, as a person uses it: the example is there, Send shows the answer, and a mistake is told."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(need_chromium()), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        form = page.locator('form[data-path="/predict/wine"]')
        form.get_by_role("button", name="Send").click()
        expect(form.locator(".state")).to_contain_text("200, ")
        expect(form.locator("pre")).to_contain_text('"label"')
        form.get_by_label("Request body").fill('{"records": [{"alcohol": 14}]}')
        form.get_by_role("button", name="Send").click()
        expect(form.locator(".state")).to_contain_text("400, ")
        expect(form.locator("pre")).to_contain_text("records[0]: 'malic_acid'")
        browser.close()
