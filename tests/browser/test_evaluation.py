"""A run of three stages is judged on the page: the quick suite's questions, own ones, a blind vote in three columns.

The report of all that is kept as a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import LOCALES, number, say
from tests.browser.hands import MINUTES, choose, go, write
from tests.live import LiveStudio, command

RECIPE = """
name: tiny
base: {base}
lora: {{rank: 4}}
stages:
  - {{name: first, kind: pretrain, data: [{{dataset: sample-prose}}], budget: {{steps: 1}}, batch: 1, accumulation: 1,
     length: 64}}
  - {{name: second, kind: pretrain, data: [{{dataset: sample-prose}}], budget: {{steps: 1}}, batch: 1, accumulation: 1,
     length: 64}}
  - {{name: chat, kind: instruct, data: [{{dataset: chats}}], budget: {{steps: 2}}, batch: 1, accumulation: 1,
     length: 64}}
"""
RUN = "run:tiny-1"
LIMIT = "3"
STAGES = ("first", "second", "chat")


@pytest.fixture(scope="module")
def prepared(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace with a run of three stages, whose base has answered a few questions of each task already."""
    folder = tmp_path_factory.mktemp("evaluation")
    workspace, chats, recipe = folder / "workspace", folder / "chats.jsonl", folder / "tiny.yaml"
    rows = [{"prompt": f"پرسش {number}؟", "response": f"پاسخ {number}، کتاب خوب است."} for number in range(6)]
    chats.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
    recipe.write_text(RECIPE.format(base=f"local:{tiny_model}"), encoding="utf8")
    command(workspace, "data", "import", str(chats), "--name", "chats", "--licence", "CC0-1.0")
    command(workspace, "run", str(recipe))
    command(workspace, "evaluate", "--model", f"local:{tiny_model}", "--suite", "quick", "--limit", LIMIT)
    return workspace, f"local:{tiny_model}"


@pytest.fixture
def live(prepared: tuple[Path, str]) -> Iterator[LiveStudio]:
    studio = LiveStudio(prepared[0]).start()
    yield studio
    studio.close()


def pick(page: Page, model: str) -> None:
    page.locator("#evaluate-models input").first.fill(model)
    page.get_by_role("option", name=model, exact=True).first.click()
    page.keyboard.press("Escape")


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_a_run_is_held_to_its_base(
    locale: str, live: LiveStudio, prepared: tuple[Path, str], open_page: Callable[[str, str], Page], tmp_path: Path
) -> None:
    page = open_page(f"{live.address}/{locale}/", "de-DE")
    go(page, "evaluate")
    board = page.locator("#evaluations")
    expect(board).to_contain_text(prepared[1], timeout=20_000)
    if not page.locator("#evaluate-models .token", has_text=RUN).count():
        pick(page, RUN)
    page.locator("#tab-evaluate .label-wrap").first.click()
    write(page.locator("#evaluate-limit input"), LIMIT)
    page.locator("#evaluate").click()
    expect(board.locator("th", has_text=RUN)).to_be_visible(timeout=3 * MINUTES)
    expect(board.locator(".dumbbell circle")).to_have_count(2 + 2 * 5, timeout=3 * MINUTES)  # names, five tasks
    expect(board).to_contain_text(say(locale, "evaluate.no_difference"))
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0
    ask_own(page, locale, tmp_path)
    talk_and_vote(page, locale)
    export(page, locale)


def ask_own(page: Page, locale: str, tmp_path: Path) -> None:
    """A table of questions becomes a suite, and a wrong one is refused in the page's language."""
    page.locator("#tab-evaluate .label-wrap").last.click()
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text("question,answer,a,b\nکدام؟,z,یک,دو\n", encoding="utf8")
    right.write_text("question,answer,a,b\nکدام؟,a,یک,دو\n", encoding="utf8")
    page.locator("#own-file input[type=file]").set_input_files(str(wrong))
    expect(page.locator("#own-file")).to_contain_text("wrong", timeout=20_000)
    page.locator("#own-name textarea, #own-name input").first.fill(f"mine-{locale}")
    page.locator("#own-make").click()
    told = say(locale, "errors.evaluation.bad_row", row=number(locale, 2))
    expect(page.locator("[data-testid=toast-body]").first).to_contain_text(told, timeout=20_000)
    page.locator(
        "#own-file button[aria-label*='emov'], #own-file button[title*='lear'], #own-file .icon-button"
    ).first.click()
    page.locator("#own-file input[type=file]").set_input_files(str(right))
    expect(page.locator("#own-file")).to_contain_text("right", timeout=20_000)
    page.locator("#own-make").click()
    expect(page.locator("#suite input").first).to_have_value(f"mine-{locale}", timeout=20_000)
    expect(page.locator("#evaluations")).to_contain_text(say(locale, "evaluate.empty_title"), timeout=20_000)


def talk_and_vote(page: Page, locale: str) -> None:
    """The base, the run and its first stage answer unnamed; `test_chat_columns.py` holds the details."""
    go(page, "chat")
    expect(page.locator("#chat-run input").first).to_have_value(RUN.removeprefix("run:"), timeout=20_000)
    page.locator("#chat-advanced > button").click()
    write(page.get_by_label(say(locale, "chat.max_tokens")), "6")
    page.locator("#chat-add").click()
    choose(page, "chat-third", f"{RUN.removeprefix('run:')}/{STAGES[0]}")
    page.locator("#chat-hide input").check()
    page.locator("#prompt textarea").fill("گربه کجا خوابیده بود؟")
    page.locator("#send").click()
    page.locator("#chat-vote label").first.click(timeout=2 * MINUTES)
    expect(page.locator("#chat-vote")).to_be_hidden(timeout=20_000)
    page.locator("#chat-tally > button").click()
    expect(page.locator("#votes tbody tr").first).to_contain_text("tiny-1", timeout=20_000)


def export(page: Page, locale: str) -> None:
    """The report on the page and as a file tells the stages, the suite, the vote, the writing and the cost."""
    go(page, "train")
    expect(page.locator("#report")).to_contain_text(say(locale, "vote.tally"), timeout=20_000)
    with page.expect_download() as caught:
        page.locator("#report a[download]").click()
    assert caught.value.suggested_filename == "tiny-1.html"
    text = Path(caught.value.path()).read_text(encoding="utf8")
    for each in LOCALES:
        for key in ("vote.tally", "written.title", "train.figure.energy", "cost.carbon", "evaluate.results"):
            assert say(each, key) in text, (each, key)
    for stage in STAGES:
        assert stage in text
    assert text.count('class="dumbbell"') == len(LOCALES)
