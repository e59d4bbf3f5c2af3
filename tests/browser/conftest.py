"""A real chromium and a live studio."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

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

OPENED = pytest.StashKey[list[Page]]()
LINES = 60
"""Of a log, what a report of a failure shows."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails tells what its pages showed and what the app and the chat process had said."""
    report = yield
    if report.when == "call" and report.failed:
        report.sections += [(f"page {page.url}", seen(page)) for page in item.stash.get(OPENED, [])]
        live = getattr(item, "funcargs", {}).get("live")
        if isinstance(live, LiveStudio):
            logs = [live.workspace.parent / "app.log", live.workspace / "logs" / "chat.log"]
            report.sections += [
                (log.name, "\n".join(log.read_text(errors="replace").splitlines()[-LINES:]))
                for log in logs
                if log.exists()
            ]
    return report


def seen(page: Page) -> str:
    """The text of a page."""
    try:
        return page.locator("body").inner_text(timeout=5_000)
    except Error as error:
        return str(error)


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
def open_page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], Page]]:
    """Opens an address in a browser of the given locale; at the end no page may have asked for anything outside."""
    contexts, outside = [], []
    opened = request.node.stash.setdefault(OPENED, [])

    def open_(address: str, locale: str = "fa-IR") -> Page:
        context = chromium.new_context(locale=locale, viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        opened.append(page)
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
