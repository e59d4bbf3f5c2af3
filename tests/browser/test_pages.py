"""Every tab in both languages, wide and narrow, in a real browser: direction, calm, nothing outside or broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import say
from tests.live import LiveStudio

TABS = ("start", "data", "vocabulary", "train", "chat", "evaluate", "publish", "models", "jobs", "history", "settings")
MOST_INPUTS = 15

VISIBLE_INPUTS = """() => [...document.querySelectorAll(
    '#journey input:not([type=file]), #journey textarea, #journey select')]
    .filter((one) => one.checkVisibility({visibilityProperty: true, opacityProperty: true})).length"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStudio]:
    """A studio without models or data: what a user sees first."""
    folder: Path = tmp_path_factory.mktemp("pages")
    (folder / "workspace").mkdir()
    studio = LiveStudio(folder / "workspace").start()
    yield studio
    studio.close()


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_every_tab_is_whole_and_calm(locale: str, studio: LiveStudio, open_page: Callable[[str, str], Page]) -> None:
    page = open_page(f"{studio.address}/{locale}/", "de-DE")
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    assert page.evaluate("document.documentElement.dir") == {"fa": "rtl", "en": "ltr"}[locale]
    for tab in TABS:
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(f"#tab-{tab}")).to_be_visible()
        page.wait_for_timeout(400)
        assert page.evaluate(VISIBLE_INPUTS) <= MOST_INPUTS, tab
        for width in (1920, 360, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(150)
            wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wider <= 0, f"{tab} at {width} px is {wider} px too wide"
    assert page.evaluate("document.fonts.check('16px Vazirmatn')")
    assert not faults


def test_the_language_of_the_browser_decides_and_the_switch_keeps_the_tab(
    studio: LiveStudio, open_page: Callable[[str, str], Page]
) -> None:
    page = open_page(f"{studio.address}/", "fa-IR")
    assert page.evaluate("document.documentElement.lang") == "fa"
    page.locator("#tab-train-button").click()
    expect(page.locator("#board")).to_contain_text(say("fa", "train.empty_title"))
    page.locator("[data-language-switch]").click()
    page.wait_for_selector("html[lang=en] #board")
    expect(page.locator("#board")).to_contain_text(say("en", "train.empty_title"))
    other = open_page(f"{studio.address}/", "de-DE")
    assert other.evaluate("document.documentElement.lang") == "en"


def test_a_fault_is_one_sentence_in_the_language_of_the_page(
    studio: LiveStudio, open_page: Callable[[str, str], Page]
) -> None:
    page = open_page(f"{studio.address}/fa/?tab=models", "en-US")
    field = page.locator("#fetch-reference input").first
    field.fill("nonsense")
    field.press("Enter")
    page.locator("#fetch").click()
    toast = page.locator('[data-testid="toast-body"]').first
    expect(toast).to_contain_text("nonsense", timeout=10_000)
    assert any("\u0600" <= letter <= "\u06ff" for letter in toast.inner_text())
    page.goto(f"{studio.address}/fa/?tab=data")
    page.wait_for_selector("#import")
    page.locator("#import").click()
    expect(page.locator('[data-testid="toast-body"]').first).to_contain_text(
        say("fa", "errors.data.no_files").split(".")[0], timeout=10_000
    )


def test_old_windows_text_is_recognised_and_offered(
    studio: LiveStudio, open_page: Callable[[str, str], Page], tmp_path: Path
) -> None:
    file = tmp_path / "old.txt"
    line = "این متن با کدگذاری قدیمی نوشته شده است و باید شناخته شود.\n".replace("ی", "ي")  # it had no ی
    file.write_bytes((line * 20).encode("windows-1256"))
    page = open_page(f"{studio.address}/en/?tab=data", "en-US")
    page.locator("#upload input[type=file]").set_input_files(str(file))
    expect(page.locator("#found")).to_contain_text("windows-1256", timeout=15_000)
    expect(page.locator("#found")).to_contain_text("نوشته شده است")
    page.locator("#import").click()
    expect(page.locator("#imports")).to_contain_text(say("en", "data.done", name="old", rows=20), timeout=60_000)


def test_a_file_over_the_limit_is_refused_before_it_travels(
    studio: LiveStudio, open_page: Callable[[str, str], Page], tmp_path: Path
) -> None:
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(2_000_000_000)  # takes no room on disk
    page = open_page(f"{studio.address}/fa/?tab=data", "fa-IR")
    uploads: list[str] = []
    page.on("request", lambda request: uploads.append(request.url) if "/upload" in request.url else None)
    page.locator("#upload input[type=file]").set_input_files(str(huge))
    expect(page.locator(".too-large")).to_contain_text("python -m studio data import", timeout=15_000)
    assert not uploads
