"""A trained run is packed, its card edited, and published to a Hub on this machine: on both languages' pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.i18n import say
from tests.browser.hands import MINUTES, choose, go
from tests.hub_server import HubServer, Person
from tests.live import LiveStudio

RUN, REPO = "first_steps-1", "sara/tiny-fa"
# What becomes of a text when a card comes that was asked for before anything was typed, and of one not typed in.
LATE = """([card, typed]) => [typed, card].map(
  (text) => studio.card(JSON.stringify(["# new", "fresh", card]), "old", text)
)"""
TOKEN = "hf_browserSecretOfSara"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer()
    server.people = {TOKEN: Person("sara")}
    yield server
    server.close()


@pytest.fixture
def live(tmp_path: Path, tiny_model: Path, hub: HubServer) -> Iterator[LiveStudio]:
    studio = LiveStudio(tmp_path / "workspace", HF_ENDPOINT=hub.address, HF_HOME=str(tmp_path / "home"))
    wanted = (f"base=local:{tiny_model}", "stages.0.budget.steps=2", "stages.0.length=128")
    studio.command("run", "first_steps", *(word for each in wanted for word in ("--set", each)))
    studio.start()
    yield studio
    studio.close()


def make(page: Page, locale: str) -> None:
    go(page, "publish")
    expect(page.locator("#exports")).to_contain_text(say(locale, "publish.exports_empty"))
    for kind, named in (("gguf", False), ("adapter", True)):
        page.locator("#publish-kind label", has_text=say(locale, f"publish.kind.{kind}")).click()
        expect(page.locator("#publish-name")).to_be_visible(visible=named, timeout=20_000)
    page.locator("#publish-make").click()
    expect(page.locator("#exports .check").first).to_be_visible(timeout=3 * MINUTES)
    expect(page.locator("#exports")).to_contain_text(f"{RUN}-adapter")


def measure(page: Page) -> None:
    """What going back towards the base would keep, as two lines."""
    page.locator("#publish-advanced > button").click()
    page.locator("#publish-measure").click()
    expect(page.locator("#towards svg polyline")).to_have_count(2, timeout=3 * MINUTES)


def edit(page: Page, locale: str, line: str) -> None:
    choose(page, "publish-export", f"{RUN}-adapter")
    page.locator("#card-edit > button").click()
    text = page.locator("#card-text textarea")
    expect(text).not_to_have_value("", timeout=20_000)
    text.fill(f"{text.input_value()}\n{line}\n")
    page.wait_for_timeout(6_000)  # the page looks after the card every four seconds
    assert text.input_value().endswith(f"\n{line}\n"), "what was typed stays"
    late = page.evaluate(LATE, ["# the card", "# the card, and typed"])
    assert late == [["# the card, and typed", "old"], ["# new", "fresh"]], "an answer that was under way stays outside"
    page.locator("#card-save").click()
    said = say(locale, "publish.card_saved", name=f"{RUN}-adapter")
    expect(page.locator("[data-testid=toast-body]", has_text=said).first).to_be_visible(timeout=20_000)


def log_in(page: Page, locale: str) -> None:
    go(page, "settings")
    page.get_by_label(say(locale, "settings.token"), exact=True).fill(TOKEN)
    page.get_by_role("button", name=say(locale, "settings.save_token"), exact=True).click()
    expect(page.get_by_text(say(locale, "settings.token_kept")).first).to_be_visible(timeout=20_000)
    go(page, "publish")


def look_and_send(page: Page, locale: str) -> None:
    page.locator("#publish-repo input, #publish-repo textarea").first.fill(REPO)
    page.locator("#publish-look").click()
    plan = page.locator("#publish-plan")
    expect(plan).to_contain_text("adapter_model.safetensors", timeout=30_000)
    expect(plan).to_contain_text(say(locale, "publish.plan_private"))
    expect(plan).to_contain_text(say(locale, "publish.change.new"))
    page.locator("#publish-accept input").check()
    page.locator("#publish-send").click()
    expect(page.locator("#published")).to_contain_text(REPO, timeout=MINUTES)


def test_from_a_run_to_a_repository(live: LiveStudio, hub: HubServer, open_page: Callable[[str, str], Page]) -> None:
    page = open_page(f"{live.address}/fa/", "en-US")
    make(page, "fa")
    measure(page)
    edit(page, "fa", "جمله‌ای از خودم.")
    log_in(page, "fa")
    look_and_send(page, "fa")
    repository = hub.repositories[REPO]
    assert repository.private
    assert "جمله‌ای از خودم." in repository.head.files["README.md"].content.decode()
    other = open_page(f"{live.address}/en/", "fa-IR")
    go(other, "publish")
    expect(other.locator("#published")).to_contain_text(REPO, timeout=20_000)
    expect(other.locator("#exports .check").first).to_be_visible(timeout=20_000)
    assert TOKEN not in other.content()
    kept = [path for path in live.workspace.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []
