"""A run of three stages from the estimate to the report: made on the Persian page, looked at on both.

The tiny model learns here; `tests/real/test_recipes.py` takes the real one through the same stages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import number, say
from studio.services import training
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.browser.hands import MINUTES, choose, go, write
from tests.live import LiveStudio

RUN = "recommended-1"
STAGES = (("align", "align"), ("pretrain", "pretrain"), ("instruct", "instruct"))
# What has no field: rows that start at the mean need no text to be fitted on, and hafez need not be fetched.
MORE = "base=local:{base}\nvocabulary.start=mean\nvocabulary.corpus=[sample-prose]"


def title(locale: str, place: int) -> str:
    kind, name = STAGES[place]
    return f"{say(locale, f'train.stage.{kind}')} · {name}"


def fill(page: Page, **values: object) -> None:
    for name, value in values.items():
        page.locator(f"#{name.replace('_', '-')} input").first.fill(str(value))


def to_stage(page: Page, locale: str, place: int) -> None:
    """Show the fields of a stage, and wait until they are its own."""
    page.locator("#train-stage label", has_text=title(locale, place)).click()
    rests = page.locator("#train-lora")  # the adapter has no rate in the alignment, whose layers are frozen
    expect(rests).to_have_count(int(place > 0), timeout=30_000)


def without(page: Page, dataset: str) -> None:
    page.locator("#train-datasets .token", has_text=dataset).locator(".token-remove").click()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStudio]:
    studio = LiveStudio(tmp_path / "workspace").start()
    yield studio
    studio.close()


def set_up(page: Page, locale: str, base: Path) -> None:
    go(page, "train")
    choose(page, "train-recipe", say(locale, "recipes.recommended.title"))
    expect(page.locator("#recipe-about")).to_contain_text(title(locale, 2), timeout=20_000)
    expect(page.locator("#train-size input")).to_have_value("2000", timeout=20_000)
    page.locator("#train-advanced > button").click()
    write(page.locator("#train-more textarea"), MORE.format(base=base))
    expect(page.locator("#estimate .stacked")).to_have_count(3, timeout=20_000)
    fill(page, train_size=200, train_rank=4, steps=1, train_length=128, train_batch=2)
    without(page, "sample-stories-more")
    without(page, "hafez")
    to_stage(page, locale, 2)
    fill(page, steps=0)


def refuse(page: Page, locale: str) -> None:
    """A wrong value in a later stage is said, and stays where it was typed."""
    expect(page.locator("#estimate .banner.bad")).to_contain_text("stages.2.budget", timeout=20_000)
    page.locator("#train-start").click()
    expect(page.locator("[data-testid=toast-body]").first).to_contain_text("stages.2.budget", timeout=20_000)
    assert page.locator("#steps input").input_value() == "0"


def finish_form(page: Page, locale: str) -> None:
    choose(page, "train-unit", say(locale, "train.unit.steps"))
    expect(page.locator("#steps input")).to_have_value("60", timeout=20_000)
    fill(page, steps=2, train_length=512, train_batch=1, train_accumulation=1)
    without(page, "sample-stories-more")
    to_stage(page, locale, 1)
    expect(page.locator("#steps input")).to_have_value("120")
    fill(page, steps=1, train_length=128, train_accumulation=1)
    for dataset in ("hafez", "sample-stories-more", "sample-chats"):
        without(page, dataset)
    to_stage(page, locale, 2)
    expect(page.locator("#steps input")).to_have_value("2")  # kept while another was shown
    to_stage(page, locale, 0)
    expect(page.locator("#steps input")).to_have_value("1")
    expect(page.locator("#estimate .stacked")).to_have_count(3)


def started(live: LiveStudio) -> None:
    """The recipe of the run is what the page said."""
    recipe = training.get(open_studio(Settings(live.workspace)), RUN).recipe
    assert [stage.budget.steps for stage in recipe.stages] == [1, 1, 2]
    assert [stage.length for stage in recipe.stages] == [128, 128, 512]
    assert [stage.batch * stage.accumulation for stage in recipe.stages] == [2, 2, 1]
    assert [[source.dataset for source in stage.data] for stage in recipe.stages] == [
        ["sample-prose"], ["sample-prose"], ["sample-chats"]
    ]  # fmt: skip
    assert recipe.lora.rank == 4
    assert recipe.vocabulary.size == 200  # type: ignore[union-attr]


def watch(page: Page, locale: str) -> None:
    """The rail comes to the second stage with the first behind it, and to its end."""
    first, second = (page.locator("#board .rail li", has_text=title(locale, place)) for place in (0, 1))
    expect(second.or_(page.locator("#board .pill.failed"))).to_have_class(
        re.compile("running|done"), timeout=5 * MINUTES
    )
    expect(first).to_have_class("done")
    expect(page.locator("#board .rail li.done")).to_have_count(3, timeout=3 * MINUTES)


def read_report(page: Page, locale: str) -> None:
    report = page.locator("#report")
    expect(report).to_contain_text(say(locale, "report.title"), timeout=30_000)
    rows = report.locator("table").first.locator("tbody tr")
    for place, steps in enumerate((1, 1, 2)):
        row = rows.filter(has_text=title(locale, place))
        expect(row.locator("td").nth(1)).to_have_text(number(locale, steps))
    assert report.locator(".table").first.get_attribute("dir") == {"fa": "rtl", "en": "ltr"}[locale]
    expect(report).to_contain_text(say(locale, "report.fertility"))
    answers = report.locator(".side-by-side tbody tr")
    expect(answers).to_have_count(3)
    assert answers.first.locator("td").count() == 5, "prompt, before, and after each of three stages"
    assert report.locator("details[open]").count() == 0
    report.locator("summary").last.click()
    expect(report.locator(".pairs").last).to_contain_text(say(locale, "report.environment.base_sha256"))


def fits(page: Page) -> None:
    """Nothing is wider than a telephone."""
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def persian(live: LiveStudio, open_page: Callable[[str, str], Page]) -> Page:
    return open_page(f"{live.address}/fa/", "fa-IR")


def test_three_stages_from_estimate_to_report(
    live: LiveStudio, persian: Page, open_page: Callable[[str, str], Page], tiny_model: Path
) -> None:
    set_up(persian, "fa", tiny_model)
    refuse(persian, "fa")
    finish_form(persian, "fa")
    persian.locator("#train-start").click()
    expect(persian.locator("#board")).to_contain_text(RUN, timeout=20_000)
    started(live)
    persian.close()  # the tab, in the middle of the run
    persian = open_page(f"{live.address}/fa/?tab=train", "fa-IR")
    watch(persian, "fa")
    english = open_page(f"{live.address}/en/", "en-US")
    set_up(english, "en", tiny_model)
    refuse(english, "en")
    for page, locale in ((persian, "fa"), (english, "en")):
        read_report(page, locale)
        fits(page)
