"""The jobs tab in a real browser: order, log, and one notice for each job that ends, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from studio.i18n import LOCALES, say
from studio.jobs.store import NewJob
from studio.services import jobs
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.live import LiveStudio

NOTIFICATION = """
window.notices = []; window.asked = 0;
window.Notification = class {
  static permission = "default";
  static async requestPermission() { window.asked++; return (this.permission = window.answer); }
  constructor(title, options) { window.notices.push({ title, ...options }); }
  close() {}
};
"""
HIDDEN = """
Object.defineProperty(document, "hidden", { get: () => true });
Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
document.dispatchEvent(new Event("visibilitychange"));
"""


@pytest.fixture(scope="module")
def studio_live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStudio]:
    workspace: Path = tmp_path_factory.mktemp("jobs") / "workspace"
    live = LiveStudio(workspace).start()
    yield live
    live.close()


@pytest.fixture
def studio(studio_live: LiveStudio) -> Studio:
    opened = open_studio(Settings(studio_live.workspace))
    for job in jobs.listing(opened, active_only=True):
        opened.jobs.finish(job.id, "stopped")
    return opened


@pytest.fixture
def open_stubbed(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a browser whose notices are kept in ``window.notices``."""
    contexts = []

    def open_(address: str, answer: str = "granted") -> Page:
        context = chromium.new_context(locale="de-DE", viewport={"width": 1280, "height": 900})
        contexts.append(context)
        context.add_init_script(f"window.answer = '{answer}';" + NOTIFICATION)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#notify button")
        return page

    yield open_
    for context in contexts:
        context.close()


def pending(studio: Studio, title: str) -> int:
    """A job that waits for a login that nobody gives."""
    return studio.jobs.add(NewJob("fetch", title, {}, needs_token=True))


@pytest.mark.parametrize("locale", LOCALES)
def test_one_notice_for_each_end_also_when_the_tab_is_hidden(
    studio_live: LiveStudio, studio: Studio, open_stubbed: Callable[..., Page], locale: str
) -> None:
    studio.jobs.finish(pending(studio, "before"), "done")
    page = open_stubbed(f"{studio_live.address}/{locale}/?tab=jobs")
    switch = page.locator("#notify button")
    page.wait_for_timeout(500)
    assert page.evaluate("[window.asked, window.notices.length]") == [0, 0], "nothing is asked before a click"
    with page.expect_response(lambda answer: "/live/ended" in answer.url):
        switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    page.wait_for_timeout(300)
    first, second = pending(studio, "first"), pending(studio, "second")
    studio.jobs.finish(first, "done")
    page.wait_for_function("window.notices.length === 1", timeout=10_000)
    page.evaluate(HIDDEN)
    studio.jobs.finish(second, "lost")
    page.wait_for_function("window.notices.length === 2", timeout=20_000)
    page.wait_for_timeout(3000)
    notices = page.evaluate("window.notices")
    assert [notice["body"] for notice in notices] == [
        jobs.ended_text(locale, studio.jobs.get(job)) for job in (first, second)
    ]
    assert {notice["dir"] for notice in notices} == {"rtl" if locale == "fa" else "ltr"}
    assert len({notice["tag"] for notice in notices}) == 2
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    studio.jobs.finish(pending(studio, "third"), "done")
    page.wait_for_timeout(3000)
    assert page.evaluate("[window.asked, window.notices.length]") == [1, 2]


def test_who_closes_the_question_is_not_asked_again(
    studio_live: LiveStudio, open_stubbed: Callable[..., Page]
) -> None:
    page = open_stubbed(f"{studio_live.address}/fa/?tab=jobs", "default")
    switch, said = page.locator("#notify button"), page.locator("#notify p")
    switch.click()
    expect(said).to_have_text(say("fa", "jobs.notify_dismissed"))
    assert page.evaluate("window.asked") == 1
    switch.click()
    assert page.evaluate("window.asked") == 1
    page.reload()
    page.wait_for_selector("#notify button")
    switch.click()
    expect(said).to_have_text(say("fa", "jobs.notify_dismissed"))
    assert page.evaluate("window.asked") == 0, "not after a reload either"
    expect(switch).to_have_attribute("aria-checked", "false")


def test_who_refuses_hears_where_to_change_it(studio_live: LiveStudio, open_stubbed: Callable[..., Page]) -> None:
    page = open_stubbed(f"{studio_live.address}/en/?tab=jobs", "denied")
    page.locator("#notify button").click()
    expect(page.locator("#notify p")).to_have_text(say("en", "jobs.notify_denied"))
    expect(page.locator("#notify button")).to_be_disabled()


@pytest.mark.parametrize("locale", LOCALES)
def test_a_job_is_chosen_moved_and_cancelled(
    studio_live: LiveStudio, studio: Studio, open_page: Callable[[str, str], Page], locale: str
) -> None:
    first, second = pending(studio, f"one-{locale}"), pending(studio, f"two-{locale}")
    log = studio.settings.logs / f"job-{second}.txt"
    log.write_text("first line\nlast line hf_aaaaaaaaaaaaaaaaaaaaaaa\n")
    page = open_page(f"{studio_live.address}/{locale}/?tab=jobs", "de-DE")
    expect(page.locator("#jobs")).to_contain_text(f"two-{locale}", timeout=10_000)
    page.locator("#job-choice input").first.click()
    page.get_by_role("option").filter(has_text=f"two-{locale}").first.click()
    expect(page.locator("#job")).to_contain_text("last line hf_•••", timeout=10_000)
    expect(page.locator("#job-stop")).to_be_disabled()
    page.locator("#job-up").click()
    expect(page.locator('[data-testid="toast-body"]').first).to_contain_text(f"two-{locale}", timeout=10_000)
    assert [job.id for job in jobs.queue(studio, 9)] == [second, first]
    with page.expect_download() as caught:
        page.locator("#job a[download]").click()
    assert caught.value.suggested_filename == f"job-{second}.txt"
    assert "•••" in Path(caught.value.path()).read_text(encoding="utf8")
    page.locator("#job-cancel").click()
    expect(page.locator("#past-jobs")).to_contain_text(f"two-{locale}", timeout=15_000)
    assert jobs.show(studio, second).state == "stopped"
