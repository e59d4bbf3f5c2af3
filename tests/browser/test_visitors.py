"""An owner and a visitor at once: what the one shares the other can use, and nothing else is there for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio import password
from studio.i18n import say
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.browser.hands import MINUTES, choose, go
from tests.live import LiveStudio

PASSWORD = "یک گذرواژهٔ بلند"
MODEL = "starter:smollm2-135m"


@pytest.fixture
def live(workspace: Path) -> Iterator[LiveStudio]:
    password.set_password(open_studio(Settings(workspace)).settings, PASSWORD)
    studio = LiveStudio(workspace, HOST="0.0.0.0").start()
    yield studio
    studio.close()


def enter(page: Page, locale: str) -> None:
    """The owner's way in, after a wrong try."""
    page.locator("a[data-door]").click()
    expect(page.locator("h1")).to_have_text(say(locale, "auth.title"))
    assert page.evaluate("document.documentElement.dir") == {"fa": "rtl", "en": "ltr"}[locale]
    page.locator("input[type=password]").fill("not the password")
    page.locator("button[type=submit]").click()
    expect(page.locator(".banner.bad")).to_contain_text(say(locale, "errors.auth.wrong_password"))
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("button[type=submit]").click()
    page.wait_for_selector("#tab-train-button")


def share(page: Page, locale: str) -> None:
    go(page, "settings")
    choose(page, "share-models", MODEL)
    page.keyboard.press("Escape")
    page.locator("#share").click()
    expect(page.locator("[data-testid=toast-body]").first).to_contain_text(
        say(locale, "share.done", models=1, reports=0)
    )


def ask(page: Page, text: str) -> None:
    page.locator("#prompt textarea").fill(text)
    page.locator("#send").click()


def test_a_visitor_talks_to_what_the_owner_shares(live: LiveStudio, open_page: Callable[[str, str], Page]) -> None:
    visitor = open_page(f"{live.address}/en/", "en-US")
    assert [tab.get_attribute("id") for tab in visitor.locator("[role=tab]").all() if tab.get_attribute("id")] == [
        "tab-chat-button",
        "tab-reports-button",
    ]
    expect(visitor.locator("#visit-model input").first).to_have_value("")
    owner = open_page(f"{live.address}/fa/", "fa-IR")
    enter(owner, "fa")
    share(owner, "fa")
    expect(visitor.locator("#visit-model input").first).to_have_value(MODEL, timeout=30_000)
    ask(visitor, "What is the capital of Iran?")
    expect(visitor.locator("#foot-base")).to_contain_text("tokens", timeout=3 * MINUTES)
    expect(visitor.locator("#side-base")).to_contain_text("capital of Iran")
    go(visitor, "reports")
    expect(visitor.locator("#report")).to_contain_text(say("en", "visit.no_reports"))
    take_back(owner, "fa")
    go(visitor, "chat")
    ask(visitor, "And of France?")
    expect(visitor.locator("[data-testid=toast-body]").first).to_contain_text(
        say("en", "errors.visit.nothing_shared"), timeout=20_000
    )
    visitor.set_viewport_size({"width": 360, "height": 800})
    assert visitor.evaluate("document.documentElement.scrollWidth <= innerWidth")
    leave(owner)


def take_back(page: Page, locale: str) -> None:
    page.locator("#share-models .token-remove").first.click()
    page.locator("#share").click()
    expect(
        page.locator("[data-testid=toast-body]", has_text=say(locale, "share.done", models=0, reports=0))
    ).to_be_visible()


def leave(page: Page) -> None:
    page.locator("a[data-door]").click()
    page.wait_for_selector("#visit-model")
    expect(page.locator("#tab-train-button")).to_have_count(0)
