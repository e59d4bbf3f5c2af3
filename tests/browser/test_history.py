"""The history as a person uses it: name a run, compare two, free space, copy one, delete one, save the table."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import say
from studio.recipes import override, preset_recipe
from studio.services.studio import Studio, open_studio
from studio.settings import ASSETS, Settings
from tests.live import LiveStudio
from tests.past import make_run, measure

PAYLOAD = "<img src=x onerror=alert(1)>"
OLD, NEW, SPARE = "first_steps-1", "first_steps-2", "first_steps-3"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStudio]:
    """A studio with three runs, none of them trained."""
    workspace = tmp_path / "workspace"
    studio = open_studio(Settings(workspace))
    changed = override(preset_recipe("first_steps"), ["stages.0.budget.steps=77"])
    for number, (run, recipe) in enumerate(((OLD, changed), (NEW, None), (SPARE, None))):
        make_run(studio, run, recipe, created=1_800_000_000.0 + number, steps=(40,), checkpoints={0: (20, 40)})
        for stage, step, fa in ((-1, 0, 2.0), (0, 20, 1.7), (0, 40, 1.5 + number / 10)):
            measure(studio, run, stage, step, fa, 1.5)
    started = LiveStudio(workspace).start()
    yield started
    started.close()


@pytest.fixture
def studio(live: LiveStudio) -> Studio:
    return open_studio(Settings(live.workspace))


def choose(page: Page, field: str, text: str) -> None:
    page.locator(f"{field} input").first.click()
    page.locator(f"{field} input").first.fill(text)
    page.get_by_role("option", name=re.compile(re.escape(text))).first.click()


def drawn(page: Page, panel: str) -> list[str]:
    """Names of the curves in the comparison."""
    names: list[str] = page.locator(f"#compared-curves [data-panel={panel}] .plot").evaluate(
        "plot => (plot.data ?? []).filter((one) => one.showlegend).map((one) => one.name)"
    )
    return names


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_a_run_is_named_compared_freed_copied_and_deleted(
    locale: str, live: LiveStudio, studio: Studio, open_page: Callable[[str, str], Page]
) -> None:
    page = open_page(f"{live.address}/{locale}/?tab=history", {"fa": "fa-IR", "en": "en-US"}[locale])
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    rows = page.locator("#history tbody tr")
    expect(rows).to_have_count(3, timeout=20_000)
    expect(rows.first).to_contain_text(SPARE)
    name(page, locale)
    compare(page, locale)
    free(page, locale, studio)
    save(page, live)
    fits(page)
    delete(page, locale, studio)
    copy(page, locale)
    assert alerts == []


def name(page: Page, locale: str) -> None:
    choose(page, "#past-run", OLD)
    expect(page.locator("#past-run-card")).to_contain_text(f"run:{OLD}/chat@40", timeout=15_000)
    expect(page.locator("#past-run-card .pill.mark", has_text=say(locale, "history.mark.best")).first).to_be_visible()
    page.locator("#run-title input, #run-title textarea").first.fill(PAYLOAD)
    page.locator("#run-note textarea").fill("یادداشت\nsecond line")
    page.locator("#run-save").click()
    expect(page.locator("#history")).to_contain_text(PAYLOAD, timeout=15_000)
    expect(page.locator("#history")).to_contain_text("یادداشت")
    expect(page.locator("#past-run-card h3").first).to_have_text(PAYLOAD)
    assert page.locator("#journey img[src=x]").count() == 0


def compare(page: Page, locale: str) -> None:
    expect(page.locator("#compared-curves .waiting")).to_have_text(say(locale, "history.compare_none"))
    first = re.compile(rf"live/curves.*subject={OLD}\b")
    page.route(first, lambda route: (time.sleep(1), route.continue_()), times=1)  # the second chosen answers first
    for run in (OLD, NEW):
        choose(page, "#compared", run)
    place = "#compared-curves [data-panel=bits] .plot"
    page.wait_for_function(f"document.querySelector('{place}')?.data?.length >= 4", timeout=30_000)
    shown = [title.replace("&lt;", "<") for title in drawn(page, "bits")]
    persian, english = (say(locale, f"curves.bits_{language}") for language in ("fa", "en"))
    assert shown == [f"{PAYLOAD} · {persian}", f"{PAYLOAD} · {english}", f"{NEW} · {persian}", f"{NEW} · {english}"]
    lowest = page.locator(place).evaluate("plot => plot.data[0].y.at(-1)")
    assert lowest == 1.5
    assert page.locator("#compared-curves figure").count() == 2, "loss and bits, and no third plot"
    legend = page.locator("#compared-curves [data-panel=bits] .legendtext").first
    assert legend.text_content() == f"{PAYLOAD} · {persian}", "shown as text"


def free(page: Page, locale: str, studio: Studio) -> None:
    saved = sorted(studio.settings.runs.glob(f"{OLD}/stages/*/checkpoints/*"))
    page.locator("#run-free").click()
    question = page.locator("#run-question")
    expect(question).to_contain_text(say(locale, "history.spare.checkpoint"), timeout=15_000)
    page.locator("#run-cancel").click()
    expect(question).to_be_empty(timeout=10_000)
    assert sorted(studio.settings.runs.glob(f"{OLD}/stages/*/checkpoints/*")) == saved
    page.locator("#run-free").click()
    page.locator("#free-sure").click()
    expect(page.locator("#past-run-card")).not_to_contain_text("@40", timeout=15_000)
    assert not list(studio.settings.runs.glob(f"{OLD}/stages/*/checkpoints/*"))
    assert (studio.settings.runs / OLD / "stages" / "00-chat" / "adapter_model.safetensors").exists()


def save(page: Page, live: LiveStudio) -> None:
    with page.expect_download() as caught:
        page.locator("#history-csv a").click()
    table = Path(caught.value.path()).read_text(encoding="utf-8-sig")
    found = {row["run"]: row for row in csv.DictReader(io.StringIO(table, newline=""))}
    assert caught.value.suggested_filename == "runs.csv"
    assert (set(found), found[OLD]["title"]) == ({OLD, NEW, SPARE}, PAYLOAD)
    assert (found[OLD]["bits_fa_before"], found[OLD]["bits_fa"]) == ("2.0", "1.5")


def fits(page: Page) -> None:
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
        for plot in page.locator("#compared-curves .plot").all():
            assert plot.evaluate("plot => plot.clientHeight") >= 300, "what was resized keeps its height"


def delete(page: Page, locale: str, studio: Studio) -> None:
    studio.shares.put("report", [SPARE])
    choose(page, "#past-run", SPARE)
    expect(page.locator("#past-run-card h3").first).to_have_text(SPARE, timeout=15_000)
    page.locator("#run-delete").click()
    expect(page.locator('[data-testid="toast-body"]', has_text=SPARE).first).to_be_visible(timeout=10_000)
    assert not page.locator("#delete-sure").is_visible(), "what is shared is not even asked about"
    studio.shares.put("report", [])
    page.locator("#run-delete").click()
    page.locator("#delete-sure").click(timeout=15_000)
    expect(page.locator("#history tbody tr")).to_have_count(2, timeout=15_000)
    expect(page.locator("#history")).not_to_contain_text(SPARE)
    assert not (studio.settings.runs / SPARE).exists()


def copy(page: Page, locale: str) -> None:
    choose(page, "#past-run", OLD)
    expect(page.locator("#past-run-card h3").first).to_have_text(PAYLOAD, timeout=15_000)
    page.locator("#run-clone").click()
    expect(page.locator("#tab-train-button")).to_have_attribute("aria-selected", "true", timeout=15_000)
    expect(page.locator("#steps input")).to_have_value("77", timeout=15_000)
    expect(page.locator("#recipe-about")).to_contain_text(OLD)
    assert PAYLOAD in page.locator("#train-recipe input").first.input_value()


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("theme", "place"), [("light", 0), ("dark", 1)])
def test_six_curves_can_be_told_from_the_paper(theme: str, place: int) -> None:
    script, style = (ASSETS / name for name in ("curves.js", "studio.css"))
    found = re.search(rf"{theme}: (\[.*?\])", script.read_text(encoding="utf8"))
    assert found is not None
    colours = json.loads(found[1])
    paper = luminance(re.findall(r"--card: (#[0-9a-f]{6})", style.read_text(encoding="utf8"))[place])
    assert len(set(colours)) == 6
    for colour in colours:
        low, high = sorted((luminance(colour), paper))
        assert (high + 0.05) / (low + 0.05) >= 3, colour  # WCAG 2.2, 1.4.11: what is no text
