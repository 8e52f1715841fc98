"""The pictures of the pages in docs/: ``python -m tests.integration.web.pictures [FOLDER]`` takes them anew. Look at them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from local.browser import need_chromium
from slipway.storage import open_store
from tests.integration.web.conftest import start
from tests.integration.web.sample import NAME, Sample

MODEL = f"/models/{NAME}"
PICTURES = {
    "web-models": ("/", 1280, 420, "light"),
    "web-model": (MODEL, 1280, 1180, "light"),
    "web-model-phone": (MODEL, 390, 900, "light"),
    "web-version": (f"{MODEL}/versions/12", 1280, 980, "light"),
    "web-version-dark": (f"{MODEL}/versions/12", 1280, 980, "dark"),
    "web-compare": (f"{MODEL}/compare?a=9&b=12", 1280, 700, "light"),
    "web-search": ("/search?q=metrics.roc_auc+%3E+0.996", 1280, 460, "light"),
}


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        process, address = start(Sample(open_store(f"file://{place}")).fill().registry)
        try:
            browser = playwright.chromium.launch(executable_path=str(need_chromium()), args=["--no-sandbox"])
            for name, (path, width, height, scheme) in PICTURES.items():
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
                page.goto(address + path)
                if path == MODEL:
                    page.locator("#metrics-plot[data-ready]").wait_for()
                page.screenshot(path=folder / f"{name}.png")
                page.close()
            browser.close()
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images"))
