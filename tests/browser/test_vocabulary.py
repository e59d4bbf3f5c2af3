"""Vocabulary expansion as a person does it: learn, move the slider, search, see English proven, take a size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import number, say
from studio.services import expansion, vocabulary
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import LiveStudio

MINUTE = 60_000
NAME = "smollm2-135m"


def choose(page: Page, box: str, value: str) -> None:
    page.locator(f"#{box} input").first.click()
    page.get_by_role("option", name=value, exact=True).first.click()
    page.keyboard.press("Escape")


def learn(page: Page, locale: str) -> None:
    """Without texts nothing begins; with the studio's own stories it takes seconds."""
    page.locator("#learn").click()
    expect(page.locator('[data-testid="toast-body"]').first).to_contain_text(
        say(locale, "errors.vocabulary.no_corpus").split(".")[0], timeout=10_000
    )
    choose(page, "corpus", "sample-stories")
    page.locator("#learn").click()
    begun = page.locator("#learning .progress").or_(page.locator("#size-figures .figures"))  # a fast machine is done
    expect(begun.first).to_be_visible(timeout=MINUTE)
    expect(page.locator("#vocabulary-choice input").first).to_have_value(NAME, timeout=MINUTE)
    expect(page.locator("#size-figures .figures")).to_be_visible(timeout=20_000)


def first_figure(page: Page) -> str:
    return page.locator("#size-figures .figure dd").first.inner_text().strip()


def move(page: Page, locale: str, workspace: Path) -> None:
    """The figures, the chips and the curve's mark follow the slider."""
    before, chips = first_figure(page), page.locator("#size-chips .chips").nth(1).locator("li").count()
    field = page.locator("#size input[type=number]")
    field.fill("20")
    field.press("Enter")
    expect(page.locator("#size-figures .figure dd").first).not_to_have_text(before, timeout=10_000)
    studio = open_studio(Settings(workspace))
    view = expansion.view(studio, NAME, 20)
    expect(page.locator("#size-figures .figure dd").first).to_have_text(
        number(locale, view.figures.tokens_per_word, 2), timeout=10_000
    )
    expect(page.locator("#size-chips .chips").nth(1).locator("li.marked").first).to_be_visible()
    assert page.locator("#size-chips .chips").nth(1).locator("li").count() > chips
    assert page.locator("#size-chips .chips").nth(0).locator("li.marked").count() == 0
    here = say(locale, "vocabulary.here")
    expect(page.locator("#curve .annotation", has_text=here)).to_be_visible(timeout=10_000)


def prove(page: Page, locale: str) -> None:
    page.locator("#english-measure").click()
    expect(page.locator("#english .banner.good")).to_contain_text(
        say(locale, "vocabulary.english_note", size=20), timeout=20_000
    )


def search(page: Page, locale: str) -> None:
    page.locator("#tokens-part button").first.click()
    expect(page.locator("#tokens tbody tr")).to_have_count(20, timeout=20_000)
    field = page.locator("#token-search input, #token-search textarea").first
    field.fill("ژژژ")
    field.press("Enter")
    expect(page.locator("#tokens")).to_contain_text(
        say(locale, "vocabulary.tokens_shown", shown=0, count=0), timeout=20_000
    )


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_a_vocabulary_from_text_to_a_size(
    locale: str, live: LiveStudio, open_page: Callable[[str, str], Page]
) -> None:
    page = open_page(f"{live.address}/{locale}/?tab=vocabulary", "de-DE")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    learn(page, locale)
    move(page, locale, live.workspace)
    prove(page, locale)
    search(page, locale)
    page.locator("#use-size").click()
    expect(page.locator("#vocabulary-choice input").first).to_have_value(f"{NAME}-20", timeout=20_000)
    expect(page.locator("#advice")).to_contain_text(say(locale, "vocabulary.taken_title"), timeout=10_000)
    expect(page.locator("#starts")).to_contain_text(say(locale, "starts.none"))
    page.locator("#vocabulary-delete").click()
    expect(page.locator("#vocabulary-delete-sure")).to_be_visible(timeout=20_000)
    choose(page, "vocabulary-choice", NAME)
    expect(page.locator("#vocabulary-delete-sure")).to_be_hidden(timeout=20_000)
    choose(page, "vocabulary-choice", f"{NAME}-20")
    page.locator("#vocabulary-delete").click()
    page.locator("#vocabulary-delete-sure").click()
    expect(page.locator("#vocabulary-choice input").first).to_have_value(NAME, timeout=20_000)
    assert [name for name, _ in vocabulary.listing(open_studio(Settings(live.workspace)))] == [NAME]
    for width in (1920, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
    assert not faults
