"""The whole first story in a real browser, on the real starter model, in Persian and in English."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import say
from tests.browser.hands import MINUTES, choose, go, write
from tests.live import LiveStudio

CHATS = [
    ("رنگ آسمان چیست؟", "آسمان در روز آبی است، چون نور آبی در هوا بیشتر پراکنده می‌شود."),
    ("پایتخت ایران کجاست؟", "پایتخت ایران تهران است."),
    ("چای را چگونه دم کنم؟", "آب جوش را روی چای خشک بریزید و ده دقیقه صبر کنید تا خوب دم بکشد."),
    ("سه میوه نام ببر.", "سیب، انار و پرتقال سه میوهٔ خوشمزه‌اند."),
] * 6


def upload(page: Page, locale: str, tmp_path: Path) -> None:
    file = tmp_path / "my-chats.jsonl"
    rows = [json.dumps({"question": asked, "answer": told}, ensure_ascii=False) for asked, told in CHATS]
    file.write_text("\n".join(rows), encoding="utf8")
    go(page, "data")
    page.locator("#upload input[type=file]").set_input_files(str(file))
    expect(page.locator("#found")).to_contain_text("question")
    expect(page.locator("#found")).to_contain_text("پایتخت ایران تهران است")
    expect(page.locator("#dataset-name input, #dataset-name textarea").first).to_have_value("my-chats")
    page.locator("#import").click()
    done = say(locale, "data.done", name="my-chats", rows=24)
    expect(page.locator("#imports")).to_contain_text(done, timeout=MINUTES)
    expect(page.locator("#dataset")).to_contain_text("my-chats", timeout=20_000)
    # Persian runs from right to left in both languages' pages.
    cell = page.locator("#dataset td", has_text="پایتخت").first
    assert cell.evaluate("cell => getComputedStyle(cell.querySelector('p') ?? cell).direction") == "rtl"


def see_the_cost(page: Page, locale: str) -> None:
    go(page, "vocabulary")
    page.locator("#sentence textarea").fill("می‌روم به کتابخانه.")
    page.locator("#measure").click()
    expect(page.locator("#cost .chips")).to_be_visible(timeout=30_000)
    assert page.locator("#cost .chips").get_attribute("dir") == "rtl"
    expect(page.locator("#cost")).to_contain_text(say(locale, "vocabulary.row.english"))


def train(page: Page, locale: str, live: LiveStudio) -> str:
    go(page, "train")
    expect(page.locator("#board")).to_contain_text(say(locale, "train.empty_title"))
    page.wait_for_timeout(4500)  # the list of datasets follows every four seconds
    page.locator("#train-datasets input").first.press("Backspace")  # the sample chats go
    choose(page, "train-datasets", "my-chats")
    page.keyboard.press("Escape")
    page.locator("#steps input").fill("4")
    page.locator("#train-start").click()
    run = "first_steps-1"
    expect(page.locator("#board")).to_contain_text(run, timeout=20_000)
    expect(page.locator("#board .pill.running, #board .pill.done")).to_be_visible(timeout=2 * MINUTES)
    page.reload()  # a refresh finds the run again
    page.wait_for_selector("#board")
    expect(page.locator("#board")).to_contain_text(run, timeout=20_000)
    expect(page.locator("#board .pill.done")).to_be_visible(timeout=5 * MINUTES)
    expect(page.locator("#answers .samples li").first).to_be_visible(timeout=20_000)
    assert page.locator("#curves .plot").first.evaluate("plot => plot.data?.[0]?.x?.length ?? 0") == 4
    assert live.command("jobs", "list")["jobs"][0]["state"] == "done"
    return run


def talk(page: Page, locale: str, run: str) -> None:
    go(page, "chat")
    page.wait_for_timeout(4500)
    choose(page, "chat-run", run)
    page.locator("#chat-advanced > button").click()
    write(page.get_by_label(say(locale, "chat.max_tokens")), "16")
    page.locator("#prompt textarea").fill("پایتخت ایران کجاست؟")
    page.locator("#send").click()
    for side in ("base", "adapted"):
        expect(page.locator(f"#foot-{side}")).to_contain_text(
            say(locale, "train.figure.tokens").split()[0], timeout=3 * MINUTES
        )
        expect(page.locator(f"#side-{side}")).to_contain_text("پایتخت ایران کجاست؟")
    page.locator("#unload").click()
    expect(page.locator("#chat-memory")).to_contain_text(say(locale, "chat.not_loaded"), timeout=30_000)


def merge(page: Page, locale: str, live: LiveStudio, run: str) -> Path:
    go(page, "publish")
    page.wait_for_timeout(4500)
    page.locator("#publish-name input, #publish-name textarea").first.fill("my-model")
    page.locator("#publish-make").click()
    expect(page.locator("#exports .check").first).to_be_visible(timeout=5 * MINUTES)
    expect(page.locator("#exports")).to_contain_text(say(locale, "publish.check.reload"))
    return live.workspace / "exports" / "my-model"


def opens_in_plain_transformers(folder: Path) -> bool:
    code = (
        "import sys\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "words = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "text = words.apply_chat_template([{'role': 'user', 'content': 'سلام'}], tokenize=False)\n"
        "assert 'سلام' in text and model.get_input_embeddings().num_embeddings >= len(words)\nprint('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    return done.stdout.strip().endswith("fine")


def made(page: Page, locale: str, run: str) -> None:
    """What was done on one page is there on the other language's, in its words."""
    go(page, "data")
    expect(page.locator("#imports")).to_contain_text(say(locale, "data.done", name="my-chats", rows=24))
    go(page, "train")
    expect(page.locator("#board")).to_contain_text(run, timeout=20_000)
    expect(page.locator("#board .pill.done")).to_contain_text(say(locale, "states.done"))
    expect(page.locator("#answers .samples li").first).to_be_visible(timeout=20_000)
    go(page, "publish")
    expect(page.locator("#exports")).to_contain_text(say(locale, "publish.check.reload"), timeout=20_000)


@pytest.fixture
def pages(live: LiveStudio, open_page: Callable[[str, str], Page]) -> dict[str, Page]:
    """Each language in a browser of the other."""
    return {
        locale: open_page(f"{live.address}/{locale}/", browsers)
        for locale, browsers in (("fa", "en-US"), ("en", "fa-IR"))
    }


def test_from_upload_to_a_merged_folder(live: LiveStudio, pages: dict[str, Page], tmp_path: Path) -> None:
    """Trained and merged on the Persian page; looked at and talked to on both."""
    for locale, page in pages.items():
        assert page.evaluate("document.documentElement.dir") == {"fa": "rtl", "en": "ltr"}[locale]
        expect(page.locator("#device")).to_contain_text(say(locale, "start.device"))
        see_the_cost(page, locale)
    page = pages["fa"]
    upload(page, "fa", tmp_path)
    run = train(page, "fa", live)
    talk(page, "fa", run)
    folder = merge(page, "fa", live, run)
    assert opens_in_plain_transformers(folder)
    made(pages["en"], "en", run)
    talk(pages["en"], "en", run)
    _, wrong, where = (tmp_path / "app.log").read_text().partition("Traceback")
    assert not wrong, where[:4000]
