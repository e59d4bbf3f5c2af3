"""A real chromium and a live studio."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.live import LiveStudio
from tests.starter import starter as starter
from tests.starter import workspace as workspace

# Debian's chromium looks up its maker's hosts at every start unless told not to.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def live(workspace: Path) -> Iterator[LiveStudio]:
    studio = LiveStudio(workspace).start()
    yield studio
    studio.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[[str, str], Page]]:
    """Opens an address in a browser of the given locale; at the end no page may have asked for anything outside."""
    contexts, outside = [], []

    def open_(address: str, locale: str = "fa-IR") -> Page:
        context = chromium.new_context(locale=locale, viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        host = address.split("/")[2]
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("data:", "blob:")) or request.url.split("/")[2] == host
                else outside.append(request.url)
            ),
        )
        page.goto(address)
        page.wait_for_selector("#journey")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not outside, f"asked for outside: {outside}"
