"""Make the pictures of the user guide, in both languages, from a live studio on a fresh workspace.

    python docs/pictures.py [--steps 12]      (or: make pictures)

It fetches the starter model, imports the studio's own texts, learns a vocabulary, trains a few steps, merges, and
photographs every tab.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from studio.i18n import LOCALES  # noqa: E402
from tests.browser.conftest import QUIET  # noqa: E402
from tests.live import LiveStudio  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
TABS = ("start", "data", "vocabulary", "train", "chat", "evaluate", "publish", "models", "jobs", "history", "settings")
STARTER = "starter:smollm2-135m"


def prepare(live: LiveStudio, steps: int) -> None:
    """Bring the workspace into the state that the pictures show."""
    live.command("models", "fetch", STARTER)
    for name, file in (("sample-stories", "stories.jsonl"), ("sample-prose", "prose.txt")):
        live.command("data", "import", str(ROOT / "assets" / "samples" / file), "--name", name, "--licence", "CC0-1.0")
    words = str(live.workspace / "vocabularies" / "stories")
    texts = ("sample-stories", "sample-prose")
    live.command("vocabulary", "learn", "--model", STARTER, "--corpus", *texts, "--size", "1000", "--out", words)
    run = live.command("run", "first_steps", "--set", f"stages.0.budget.steps={steps}")["run"]
    for model in (STARTER, f"run:{run}"):
        live.command("evaluate", "--model", model, "--suite", "quick", "--limit", "10")
    live.command("merge", run, "--out", str(live.workspace / "exports" / run))


def photograph(page: Page, live: LiveStudio, locale: str) -> None:
    """One picture per tab, after it has shown what it has."""
    for tab in TABS:
        page.goto(f"{live.address}/{locale}/?tab={tab}")
        page.wait_for_selector("#journey")
        page.wait_for_timeout(5000)
        if tab == "vocabulary":
            page.locator("#measure").click()
            page.wait_for_selector("#cost .chips")
            page.wait_for_selector("#size-figures .figures")
        if tab == "chat":
            page.locator("#chat-run input").first.click()
            page.get_by_role("option", name="first_steps-1", exact=True).click()
            page.locator("#prompt textarea").fill("پایتخت ایران کجاست؟")
            page.locator("#send").click()
            page.wait_for_selector("#foot-adapted p", timeout=180_000)
        page.wait_for_timeout(1000)
        page.screenshot(path=PICTURES / f"{tab}-{locale}.png", full_page=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        live = LiveStudio(Path(folder) / "workspace").start()
        try:
            prepare(live, options.steps)
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
            for locale in LOCALES:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                photograph(page, live, locale)
            browser.close()
        finally:
            live.close()


if __name__ == "__main__":
    main()
