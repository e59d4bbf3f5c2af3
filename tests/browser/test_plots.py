"""Curves, panels, language and theme in a real chromium, on a site with made-up runs (no worker, no model)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest
import uvicorn
from playwright.sync_api import Page, expect

from studio.i18n import say
from studio.jobs.curves import curve_payload, unchanged
from studio.jobs.events import HeldOutRow
from studio.settings import Settings
from studio.ui import parts, plots
from studio.ui.shell import build_site
from studio.ui.widgets import html_block, live_panel
from tests.live import free_port


class GrowingRun:
    """A run that gains a step whenever it is asked, as a training would between polls."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.frozen = False
        self.grow(50)

    def grow(self, steps: int) -> None:
        for step in range(len(self.rows) + 1, len(self.rows) + steps + 1):
            self.rows.append((step, 0, step, 5.0 / step + 1.0, 1.0, None, 2e-4, 500.0, 900.0))

    def curves(self, run: str, after: int | None) -> dict[str, Any]:
        if not self.frozen:
            self.grow(1)
        if after is None:
            held = [
                HeldOutRow(0, step, language, 2 - step / 100, 3.0, 10, 20, 0.0)
                for step in (0, 20, 40)
                for language in ("fa", "en")
            ]
            return curve_payload(self.rows, held_out=held)
        if after >= len(self.rows):
            return unchanged(after)
        return curve_payload(self.rows[after:], appended=True, starts={0: 0})


def _data(locale: str, run: Any) -> None:
    gr.File(label="file")
    gr.Textbox(label="نام")
    html_block(parts.go_button("go", "train"))


def _train(locale: str, run: Any) -> None:
    plots.live_curves(locale, "run-1")
    live_panel("log", "run-1")
    plots.figure_html(locale, plots.histogram([1, 2, 2, 3], title="lengths", x="tokens", y="texts", bins=3))


@pytest.fixture
def run() -> GrowingRun:
    return GrowingRun()


@pytest.fixture
def site(run: GrowingRun, tmp_path: Any) -> Iterator[str]:
    app = build_site(
        run,
        Settings(tmp_path),
        tabs=[("data", _data), ("train", _train)],
        panels={"log": lambda locale, subject: parts.log_view([f"{row[0]} <b>" for row in run.rows])},
        curves=run.curves,
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def loss(page: Page) -> dict[str, Any]:
    """The loss panel: how many steps are drawn, and what part of the axis is seen."""
    found: dict[str, Any] = page.evaluate(
        "() => { const plot = document.querySelector('.curves .plot');"
        " return {points: plot.data?.[0].x.length ?? 0, range: plot.layout?.xaxis.range}; }"
    )
    return found


def test_a_zoom_outlives_updates(site: str, run: GrowingRun, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{site}/fa/?tab=train")
    page.wait_for_selector(".curves .plot .main-svg")
    page.wait_for_timeout(300)
    box = page.locator(".curves .plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 80, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 240, box["y"] + 150, steps=5)
    page.mouse.up()
    page.wait_for_timeout(400)
    before = loss(page)
    assert before["range"][1] - before["range"][0] < 40
    page.wait_for_function(
        "drawn => document.querySelector('.curves .plot').data[0].x.length >= drawn + 3",
        arg=before["points"],
        timeout=20_000,
    )
    assert loss(page)["range"] == before["range"]
    page.locator("[data-theme-switch]").click()
    page.wait_for_timeout(300)
    assert page.evaluate("document.body.classList.contains('dark')")
    assert loss(page)["range"] == before["range"]


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_held_out_figures_are_points_beside_the_loss(site: str, locale: str, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{site}/{locale}/?tab=train")
    page.wait_for_selector(".curves .plot .main-svg")
    title = say(locale, "curves.bits")
    place = page.locator("figure", has_text=title)
    expect(place).to_be_visible()
    drawn = place.locator(".plot").evaluate("plot => plot.data.map(({ name, mode, x, y }) => ({ name, mode, x, y }))")
    names = [say(locale, f"curves.bits_{language}") for language in ("fa", "en")]
    assert drawn == [{"name": name, "mode": "markers+lines", "x": [0, 20, 40], "y": [2, 1.8, 1.6]} for name in names]
    beside = page.locator(".curves .plot").first.evaluate(
        "plot => plot.data.filter((one) => one.name).map((one) => one.name)"
    )
    assert beside == [say(locale, "curves.loss"), say(locale, "curves.held_out_loss")]


def test_the_page_speaks_its_own_language(site: str, open_page: Callable[..., Page]) -> None:
    complaints: list[str] = []
    page = open_page(f"{site}/fa/?tab=data", "de-DE")
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.reload()
    # Gradio's own words follow the page, not the browser.
    expect(page.locator('[data-testid="upload-text"]')).to_contain_text("فایل را اینجا رها کنید")
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["fa", "rtl"]
    assert page.evaluate("document.fonts.check('16px Vazirmatn')")
    assert page.locator("label:has-text('نام')").first.evaluate("label => getComputedStyle(label).direction") == "rtl"
    page.locator("[data-go=train]").click()
    page.wait_for_url("**/fa/?tab=train")
    page.locator("[data-language-switch]").click()
    page.wait_for_url("**/en/?tab=train")
    expect(page.locator("#tab-train-button")).to_have_attribute("aria-selected", "true")
    expect(page.locator("figcaption").first).to_contain_text(say("en", "curves.loss"))
    page.goto(f"{site}/")
    page.wait_for_url("**/en/")
    assert not complaints


def test_a_log_follows_its_end_unless_the_reader_went_up(
    site: str, run: GrowingRun, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"{site}/en/?tab=train")
    log = page.locator(".log")
    expect(log).to_contain_text("<b>")

    def grow() -> None:
        run.grow(20)
        expect(log).to_contain_text(f"{len(run.rows)} <b>", timeout=20_000)

    grow()
    assert log.evaluate("log => log.scrollTop + log.clientHeight >= log.scrollHeight - 8")
    log.evaluate("log => { log.scrollTop = 10; }")
    grow()
    assert log.evaluate("log => log.scrollTop") == 10


def test_narrow_and_wide(site: str, open_page: Callable[..., Page]) -> None:
    page = open_page(f"{site}/fa/?tab=train")
    page.wait_for_selector(".curves .plot .main-svg")
    for width in (360, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(600)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        plot = page.locator(".curves .plot").first
        assert plot.evaluate("plot => Math.abs(plot.querySelector('svg').clientWidth - plot.clientWidth)") <= 2
