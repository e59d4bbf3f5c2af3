"""Text that would be a program if a page believed it: in rows, names, titles, notes, logs and a model's answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import say
from studio.models.source import Origin, write_source
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.browser.hands import MINUTES, choose, go
from tests.live import LiveStudio
from tests.past import make_run
from tests.tiny import build_tiny

IMAGE = '<img src=x onerror="window.ran=1">'
SCRIPT = "</script><script>window.ran=1</script>"
LINK = "[x](javascript:window.ran=1)"
FILE = "<svg onload=window.ran=1>.txt"
RUN, PARROT, QUESTION = "first_steps-1", "parrot", "سلام"
SEEN = r"""
() => [...document.querySelectorAll("*")].flatMap((element) => [...element.attributes]
  .filter(({ value }) => value.includes("window.ran"))
  .filter(({ name, value }) => /^on|^srcdoc$/.test(name) || /^\s*javascript:/.test(value))
  .map(({ name, value }) => `${element.tagName} ${name}=${value}`))
  .concat(window.ran ? ["it ran"] : [])
"""


def build_parrot(folder: Path) -> None:
    """A model that answers everything with all three."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    build_tiny(folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    answer = tokenizer.encode(f"{IMAGE}\n\n{SCRIPT}\n\n{LINK}") + [tokenizer.eos_token_id]
    question = [{"role": "user", "content": QUESTION}]
    asked = tokenizer.apply_chat_template(question, add_generation_prompt=True)["input_ids"]
    ids, labels = torch.tensor([asked + answer]), torch.tensor([[-100] * len(asked) + answer])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(200):
        loss = model(ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.01, "it has not learnt its lines"
    model.to(torch.bfloat16).save_pretrained(folder)
    write_source(folder, reference=f"local:{folder}", original="x", licence=None, note=None,
                 origins=[Origin(name="x", version="1")])  # fmt: skip


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveStudio]:
    workspace = tmp_path / "workspace"
    studio = open_studio(Settings(workspace))
    build_parrot(studio.settings.exports / PARROT)
    folder = make_run(studio, RUN, checkpoints={0: (20,)})
    studio.run_notes.set_title(RUN, f"{IMAGE}{SCRIPT}")
    studio.run_notes.set_note(RUN, f"{IMAGE}\n{SCRIPT}")
    answer = {"stage": "chat", "step": 20, "prompt": f"{IMAGE}{LINK}", "answer": f"{SCRIPT}{IMAGE}{LINK}"}
    (folder / "samples.jsonl").write_text(json.dumps(answer) + "\n", encoding="utf8")
    (folder / "log.txt").write_text(f"{IMAGE}\n{SCRIPT}\n", encoding="utf8")
    started = LiveStudio(workspace).start()
    yield started
    started.close()


def test_what_others_wrote_is_shown_and_never_run(
    live: LiveStudio, open_page: Callable[[str, str], Page], tmp_path: Path
) -> None:
    page = open_page(f"{live.address}/fa/?tab=data", "fa-IR")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for look in (rows, unknown_model, history, board, jobs, answers):
        look(page, tmp_path)
        assert page.evaluate(SEEN) == [], look.__name__
    page.reload()
    page.wait_for_selector("#journey")
    assert page.evaluate(SEEN) == [], "in the page's own config"
    assert dialogs == []


def rows(page: Page, tmp_path: Path) -> None:
    """An uploaded file: its name, its rows, and the dataset made of it."""
    file = tmp_path / FILE
    file.write_text(f"{IMAGE} سلام\n{SCRIPT}\n{LINK}\n", encoding="utf8")
    page.locator("#upload input[type=file]").set_input_files(str(file))
    expect(page.locator("#found")).to_contain_text(IMAGE, timeout=20_000)
    page.locator("#import").click()
    expect(page.locator("#dataset-choice input").first).not_to_have_value("", timeout=MINUTES)
    expect(page.locator("#dataset")).to_contain_text(IMAGE, timeout=20_000)


def unknown_model(page: Page, _: Path) -> None:
    """A name that is refused stands in the refusal."""
    go(page, "models")
    field = page.locator("#fetch-reference input").first
    field.fill(f"starter:{IMAGE}")
    field.press("Enter")
    page.locator("#fetch").click()
    expect(page.locator("[data-testid=toast-body]").first).to_contain_text("<img", timeout=20_000)


def history(page: Page, _: Path) -> None:
    go(page, "history")
    expect(page.locator("#history")).to_contain_text(IMAGE, timeout=20_000)
    expect(page.locator("#past-run-card")).to_contain_text(SCRIPT, timeout=20_000)


def board(page: Page, _: Path) -> None:
    go(page, "train")
    expect(page.locator("#answers")).to_contain_text(SCRIPT, timeout=20_000)


def jobs(page: Page, _: Path) -> None:
    go(page, "jobs")
    expect(page.locator("#job")).to_contain_text(SCRIPT, timeout=20_000)


def answers(page: Page, _: Path) -> None:
    """A model says all three."""
    go(page, "chat")
    page.locator("#chat-base input").first.click()
    page.get_by_role("option").filter(has_text=PARROT).first.click()
    expect(page.locator("#chat-base input").first).to_have_value(re.compile(PARROT), timeout=10_000)
    choose(page, "chat-run", say("fa", "vocabulary.no_dataset"))
    page.locator("#prompt textarea").fill(QUESTION)
    page.locator("#send").click()
    expect(page.locator("#foot-base")).to_contain_text("توکن", timeout=MINUTES)
    # Of the three the chat keeps the link's text alone: what is not Markdown is taken out.
    expect(page.locator("#side-base p", has_text="x").last).to_be_visible(timeout=20_000)
