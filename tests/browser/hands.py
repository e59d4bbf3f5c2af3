"""What a person does on a page: go to a tab, choose from a list, type into a field."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page

MINUTES = 60_000
"""One minute in milliseconds, as Playwright counts."""


def go(page: Page, tab: str) -> None:
    page.locator(f"#tab-{tab}-button").click()


def choose(page: Page, box: str, value: str) -> None:
    """Choose `value` in a dropdown as a person does."""
    field = page.locator(f"#{box} input").first
    field.click()
    page.get_by_role("option", name=value, exact=True).first.click()


def write(field: Locator, text: str) -> None:
    """Type into a field just unfolded: its first value reaches it only then, late on a busy machine."""
    for _ in range(5):
        field.fill(text)
        field.page.wait_for_timeout(1000)
        if field.input_value() == text:
            return
    pytest.fail(f"the field holds {field.input_value()!r}")
