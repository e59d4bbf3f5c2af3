"""Mixing as a person does it: choose datasets, move a slider, see the shares follow, mix, find the result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from studio.data.manifest import read_manifest
from studio.i18n import number, say
from studio.services import datasets, jobs
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import LiveStudio

MINUTE = 60_000
SOURCES = ("sample-prose", "sample-stories")


def share(page: Page, row: int) -> str:
    return page.locator("#mix-shares tbody tr").nth(row).locator("td").nth(1).inner_text().strip()


def pick(page: Page, name: str) -> None:
    """Choose a dataset; a list that opened while the page still moved stands elsewhere, and is opened again."""
    field, token = page.locator("#mix-sources input").first, page.locator("#mix-sources .token", has_text=name)
    for _ in range(10):
        field.fill(name)
        with suppress(TimeoutError):
            page.get_by_role("option", name=name, exact=True).first.click(timeout=3_000)
            expect(token).to_be_visible(timeout=10_000)
            return
        field.blur()  # a list opens when its field is entered, and at nothing else
    pytest.fail(f"{name} could not be chosen")


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_two_datasets_become_one(locale: str, live: LiveStudio, open_page: Callable[[str, str], Page]) -> None:
    workspace: Path = live.workspace
    studio = open_studio(Settings(workspace))
    for name in SOURCES:
        assert jobs.wait(studio, datasets.start_starter_import(studio, name).id).state == "done"
    page = open_page(f"{live.address}/{locale}/", "de-DE")
    page.locator("#tab-data-button").click()
    page.locator("#mix > button, #mix .label-wrap").first.click()
    for name in SOURCES:
        pick(page, name)
    expect(page.locator("#mix-shares tbody tr")).to_have_count(2, timeout=MINUTE)
    expect(page.locator("#mix-weight-2")).to_be_visible()
    before = share(page, 1)
    for place, weight in ((1, "20"), (2, "60")):
        field = page.locator(f"#mix-weight-{place} input[type=number]")
        field.fill(weight)
        field.press("Enter")
    wanted = say(locale, "progress.percent", percent=number(locale, 75.0, 1))
    expect(page.locator("#mix-shares tbody tr").nth(1)).to_contain_text(wanted, timeout=10_000)
    assert before != wanted
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
    page.locator("#mix-name input, #mix-name textarea").first.fill("lesson")
    page.locator("#mix-start").click()
    expect(page.locator("#mixes")).to_contain_text("lesson", timeout=MINUTE)
    made = next(job for job in jobs.listing(studio) if job.kind == "mix")
    assert jobs.wait(studio, made.id).state == "done"
    mixed = read_manifest(workspace / "datasets" / "lesson").mixed
    assert mixed is not None
    assert [round(part.share, 2) for part in mixed.sources] == [0.25, 0.75]
    rows = read_manifest(workspace / "datasets" / "lesson").rows
    done = say(locale, "mix.done", name="lesson", rows=rows, tokens=mixed.tokens)
    expect(page.locator("#mixes")).to_contain_text(done, timeout=20_000)
