"""Cleaning as a person does it: health, clean, look at what was dropped, undo a rule, see it as training reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import number, say
from studio.services import cleaning, datasets
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import LiveStudio

MINUTE = 60_000
GOOD = "باران تند ديشب راه روستاي بالا را بست و كسي نتوانست به شهر برود."
OTHER = "پس از آن همهٔ اهل خانه کنار کرسی نشستند و پدربزرگ قصه‌ای تازه گفت."
ENGLISH = "The garden behind the house is green and wide today."
LINES = [
    GOOD,
    GOOD,
    f"{OTHER} {ENGLISH}",
    "کوتاه بود.",
    "My brother has been reading the same book since last summer.",
]


def upload(page: Page, locale: str, tmp_path: Path) -> None:
    file = tmp_path / "village.txt"
    file.write_text("\n".join(LINES) + "\n", encoding="utf8")
    page.locator("#upload input[type=file]").set_input_files(str(file))
    expect(page.locator("#found")).to_contain_text(GOOD.split()[0], timeout=20_000)
    page.locator("#import").click()
    expect(page.locator("#imports")).to_contain_text(
        say(locale, "data.done", name="village", rows=len(LINES)), timeout=MINUTE
    )
    expect(page.locator("#dataset-choice input").first).to_have_value("village", timeout=20_000)


def measure(page: Page, locale: str) -> None:
    page.locator("#part-health-button").click()
    expect(page.locator("#health")).to_contain_text(say(locale, "health.none"), timeout=20_000)
    page.locator("#health-measure").click()
    expect(page.locator("#health .banner.warn")).to_be_visible(timeout=MINUTE)
    expect(page.locator("#health")).to_contain_text(say(locale, "languages.en"))


def clean(page: Page, locale: str) -> None:
    page.locator("#part-clean-button").click()
    page.locator("#clean").click()
    expect(page.locator("#dataset-choice input").first).to_have_value("village-clean", timeout=MINUTE)
    expect(page.locator("#ledger tbody tr").first).to_be_visible(timeout=20_000)
    expect(page.locator("#ledger")).to_contain_text(say(locale, "clean.rules.duplicates"))
    expect(page.locator("#ledger-plot .plot svg").first).to_be_visible(timeout=20_000)


def look(page: Page, locale: str) -> None:
    """What was dropped is struck out in its place, what was mended is marked, and a rule finds its rows."""
    expect(page.locator("#changes")).to_contain_text(say(locale, "clean.changes_count", first=1, last=3, total=4))
    page.locator("#changes-next").click()
    expect(page.locator("#changes")).to_contain_text(
        say(locale, "clean.changes_count", first=4, last=4, total=4), timeout=20_000
    )
    choose(page, "changes-rule", say(locale, "clean.changes_normalise"))
    expect(page.locator("#changes ins", has_text="کسی").first).to_be_visible(timeout=20_000)
    choose(page, "changes-rule", say(locale, "clean.rules.language"))
    dropped = page.locator("#changes del.dropped", has_text="garden")
    expect(dropped.first).to_be_visible(timeout=20_000)
    assert dropped.first.evaluate("one => getComputedStyle(one).textDecorationLine") == "line-through"
    text = page.locator("#changes .changes", has_text="پدربزرگ").first
    assert text.evaluate("one => getComputedStyle(one).direction") == "rtl"


def undo(page: Page, locale: str) -> None:
    page.locator("#kept-rules label", has_text=say(locale, "clean.rules.language")).click()
    page.locator("#clean-again").click()
    expect(page.locator("#dataset-choice input").first).to_have_value("village-clean-2", timeout=MINUTE)
    row = page.locator("#ledger tr", has_text=say(locale, "clean.rules.language"))
    expect(row).to_contain_text(say(locale, "clean.off"), timeout=20_000)


def choose(page: Page, box: str, label: str) -> None:
    page.locator(f"#{box} input").first.click()
    page.get_by_role("option", name=label, exact=True).first.click()


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_a_dataset_is_measured_cleaned_and_a_rule_is_undone(
    locale: str, live: LiveStudio, open_page: Callable[[str, str], Page], tmp_path: Path
) -> None:
    page = open_page(f"{live.address}/{locale}/?tab=data", "de-DE")
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    upload(page, locale, tmp_path)
    measure(page, locale)
    clean(page, locale)
    look(page, locale)
    undo(page, locale)
    studio = open_studio(Settings(live.workspace))
    kept = {name: cleaning.ledger(studio, name) for name in ("village-clean", "village-clean-2")}
    assert [books.rows_out for books in kept.values() if books] == [2, 3]
    expect(page.locator("#cleaning")).to_contain_text(number(locale, 3))
    page.locator("#part-trained-button").click()
    page.locator("#trained-show").click()
    expect(page.locator("#trained mark").first).to_be_visible(timeout=30_000)
    expect(page.locator("#trained")).to_contain_text("<|endoftext|>")
    for width in (1920, 360):
        page.set_viewport_size({"width": width, "height": 900})
        for part in ("look", "health", "clean", "trained"):
            page.locator(f"#part-{part}-button").click()
            page.wait_for_timeout(200)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (width, part)
    assert [one.name for one in datasets.listing(studio)] == ["village-clean-2", "village-clean", "village"]
    assert not faults
