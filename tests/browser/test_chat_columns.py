"""The chat in a real browser: three columns, a blind vote, fixed prompts, files, and text that finds its direction."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from studio.i18n import say, sentences
from studio.models.source import Origin, write_source
from studio.services import prompt_sets
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.browser.hands import MINUTES, choose, write
from tests.browser.test_hostile import SEEN
from tests.live import LiveStudio
from tests.talking import make_talking_run
from tests.tiny import build_tiny

RUN = "talker-1"
SIDES = ("base", "adapted", "third")
ASKED = "گربه کجا خوابیده بود؟"
TEXT = r"""سلام دوست من.

An English line.

- یک
- دو

1. first
2. second

```python
print("سلام")
```

| نام | شمار |
|---|---|
| سیب | 2 |

میانگین \(x^2\) و $$\frac{a}{b}$$ است، و بهای آن $5 یا $6.

This line is by far the longest of them all, so that every other line leaves room at one of its two ends, wherever."""
HOSTILE = """$$\\href{javascript:window.ran=1}{x}$$

```mermaid
graph TD
A["<img src=x onerror='window.ran=1'>"] --> B
click A call eval("window.ran=1")
click B href "javascript:window.ran=1"
```

[x](javascript:window.ran=1) <img src=x onerror="window.ran=1">"""
# Room left of a text and right of it, within its paragraph.
ROOM = """(block) => {
  const text = document.createRange();
  text.selectNodeContents(block);
  const inner = text.getBoundingClientRect(), outer = block.getBoundingClientRect();
  return [inner.left - outer.left, outer.right - inner.right];
}"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStudio]:
    workspace = tmp_path / "workspace"
    studio = open_studio(Settings(workspace))
    base = build_tiny(studio.settings.exports / "tiny")
    write_source(base, reference=f"local:{base}", original="x", licence=None, note=None,
                 origins=[Origin(name="x", version="1")])  # fmt: skip
    make_talking_run(studio, RUN, base, ("align", "pretrain", "instruct"))
    started = LiveStudio(workspace).start()
    yield started
    started.close()


@pytest.fixture
def pages(live: LiveStudio, open_page: Callable[[str, str], Page]) -> dict[str, Page]:
    """Each language in a browser of the other; a fault in a page fails the test."""
    found = {}
    for locale, browsers in (("fa", "en-US"), ("en", "fa-IR")):
        page = open_page(f"{live.address}/{locale}/?tab=chat", browsers)
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        found[locale] = page
    return found


def test_three_columns_talk_vote_and_go_through_the_prompts(pages: dict[str, Page]) -> None:
    for locale, page in pages.items():
        expect(page.locator("#chat-run input").first).to_have_value(RUN, timeout=20_000)
        page.locator("#chat-advanced > button").click()
        write(page.get_by_label(say(locale, "chat.max_tokens")), "12")
        three_columns(page, locale)
        once_more(page, locale)
        vote(page, locale)
        all_prompts(page, locale)
        fits(page)


def three_columns(page: Page, locale: str) -> None:
    page.locator("#chat-add").click()
    choose(page, "chat-third", f"{RUN}/align")
    send(page, ASKED)
    answered(page, locale)
    answers = {page.locator(f"#side-{side} [data-testid=bot]").last.inner_text() for side in SIDES}
    assert len(answers) == 3, "three models say three things"
    told = json.loads(saved(page, "#chat-json", "chat.json").decode())
    assert [answer["model"] for answer in told["turns"][0]["answers"]][1:] == [f"run:{RUN}", f"run:{RUN}/align"]
    assert told["turns"][0]["sampling"]["max_new_tokens"] == 12
    assert f"### run:{RUN}/align" in saved(page, "#chat-markdown", "chat.md").decode()


def once_more(page: Page, locale: str) -> None:
    seed = page.get_by_label(say(locale, "chat.seed"), exact=False).last
    before = int(seed.input_value())
    page.locator("#chat-retry").click()
    expect(seed).to_have_value(str(before + 1), timeout=MINUTES)
    answered(page, locale)
    expect(page.locator("#side-base [data-testid=user]")).to_have_count(1)
    page.locator("#chat-edit").click()
    expect(page.locator("#prompt textarea")).to_have_value(ASKED, timeout=20_000)
    expect(page.locator("#side-base [data-testid=user]")).to_have_count(0)
    expect(page.locator("#foot-base p")).to_have_count(0)


def vote(page: Page, locale: str) -> None:
    page.locator("#chat-hide input").check()
    expect(page.locator("#chat-run")).to_be_hidden()
    send(page, ASKED)
    expect(page.locator("#chat-vote label").first).to_be_visible(timeout=MINUTES)
    expect(page.locator("#chat-notice")).to_have_text("")
    shown = page.locator("#tab-chat").inner_text()
    assert RUN not in shown
    assert "exports" not in shown
    assert page.locator("#foot-base, #foot-adapted, #foot-third").all_inner_texts() == ["", "", ""]
    page.locator("#chat-vote label").first.click()
    expect(page.locator("#chat-vote")).to_be_hidden(timeout=20_000)
    answered(page, locale)
    for side in SIDES:
        expect(page.locator(f"#side-{side}")).to_contain_text("·")
    page.locator("#chat-tally > button").click()
    expect(page.locator("#votes tbody tr").first).to_contain_text(RUN, timeout=20_000)
    page.locator("#chat-hide input").uncheck()
    expect(page.locator("#chat-run input").first).to_have_value(RUN)
    expect(page.locator("#side-base [data-testid=user]")).to_have_count(0)


def all_prompts(page: Page, locale: str) -> None:
    page.locator("#chat-prompts > button").click()
    page.locator("#prompt-subjects label", has_text=say(locale, "prompts.subject.consistency")).click()
    page.locator("#prompts-start").click()
    known = prompt_sets.subjects()["consistency"]
    expect(page.locator("#prompts-table tbody tr")).to_have_count(len(known), timeout=MINUTES)
    expect(page.locator("#prompts-table thead th")).to_have_count(4)
    expect(page.locator("#prompts-notice")).to_contain_text(
        say(locale, "prompts.progress", done=len(known), total=len(known)), timeout=20_000
    )
    table = saved(page, "#prompts-csv", "prompts.csv")
    assert table.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")))
    assert [line[1] for line in lines[1:]] == list(known)


def fits(page: Page) -> None:
    for width in (360, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width


def test_text_finds_its_direction_and_nothing_of_it_runs(pages: dict[str, Page]) -> None:
    for page in pages.values():
        choose(page, "chat-run", say(page.evaluate("document.documentElement.lang"), "vocabulary.no_dataset"))
        send(page, TEXT)
        message = page.locator("#side-base [data-testid=user]").first
        expect(message.locator(".katex")).to_have_count(2, timeout=MINUTES)
        assert [block.get_attribute("dir") for block in message.locator("ul, ol, table").all()] == ["auto"] * 3
        persian, english = (message.locator("p", has_text=text).first for text in ("سلام دوست", "An English"))
        left, right = persian.evaluate(ROOM)
        assert (left > 20, right < 4) == (True, True), (left, right)
        left, right = english.evaluate(ROOM)
        assert (left < 4, right > 20) == (True, True), (left, right)
        directions = [direction(message.locator(place).first) for place in ("ul", "ol", "table", "pre code", ".katex")]
        assert directions == ["rtl", "ltr", "rtl", "ltr", "ltr"]
        assert "$5" in message.inner_text(), "a price is no formula"
        assert message.locator("table td").count() == 2
        expect(page.locator("#foot-base p")).to_be_visible(timeout=MINUTES)
        send(page, HOSTILE)
        expect(page.locator("#side-base [data-testid=user]").nth(1)).to_be_visible(timeout=MINUTES)
        page.wait_for_timeout(3_000)  # diagrams are drawn by a script that is fetched first
        assert page.evaluate(SEEN) == []


def test_a_late_stop_takes_nothing_from_what_is_asked_next(live: LiveStudio, pages: dict[str, Page]) -> None:
    """A person hides the names, or begins anew, and asks at once; on a busy machine the server hears of it later."""
    for locale, page in pages.items():
        held = hold_stops(live, locale, page)
        expect(page.locator("#chat-run input").first).to_have_value(RUN, timeout=20_000)
        page.locator("#chat-advanced > button").click()
        write(page.get_by_label(say(locale, "chat.max_tokens")), "12")
        for anew in (page.locator("#chat-hide input").check, page.locator("#chat-clear").click):
            anew()
            send(page, ASKED)
            expect(page.locator("#chat-vote label").first).to_be_visible(timeout=MINUTES)
            with page.expect_response("**/run/predict*"):
                held[-1].continue_()
            page.wait_for_timeout(1_000)
            expect(page.locator("#side-base [data-testid=user]")).to_have_count(1)
            expect(page.locator("#chat-vote label").first).to_be_visible()
        assert [route.request.post_data_json["data"] for route in held] == [[1], [2]], "the number before is stopped"


def hold_stops(live: LiveStudio, locale: str, page: Page) -> list[Route]:
    """The requests that stop answers as they come; they wait until somebody lets them go on."""
    dependencies = json.loads(live.get(f"/{locale}/config"))["dependencies"]
    stops = [each["id"] for each in dependencies if each["api_name"] in ("chat_hide_stop", "chat_clear_stop")]
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.post_data_json["fn_index"] in stops:
            held.append(route)
        else:
            route.continue_()

    page.route("**/run/predict*", hold)
    return held


def direction(place: Any) -> str:
    return str(place.evaluate("element => getComputedStyle(element).direction"))


def send(page: Page, text: str) -> None:
    page.locator("#prompt textarea").fill(text)
    page.locator("#send").click()


def answered(page: Page, locale: str) -> None:
    unit = sentences(locale)["chat.speed"].rsplit("}", 1)[-1].strip()
    for side in SIDES:
        expect(page.locator(f"#foot-{side}")).to_contain_text(unit, timeout=MINUTES)


def saved(page: Page, button: str, name: str) -> bytes:
    """What the browser saves when `button` is pressed."""
    with page.expect_download() as caught:
        page.locator(button).click()
    assert caught.value.suggested_filename == name
    return Path(caught.value.path()).read_bytes()
