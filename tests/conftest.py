"""Fixtures that every test may ask for."""

from __future__ import annotations

import pytest

import studio.settings  # its environment must stand before torch is imported
from tests.tiny import tiny_model as tiny_model


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pages in one process, real models in the other; unit tests fill whichever is free.

    Browsers and models beside each other of their own kind would slow each other until their time limits.
    """
    groups = {"browser": "pages", "ui": "pages", "real": "models"}
    for item in items:
        folder = item.path.relative_to(studio.settings.ROOT / "tests").parts[0]
        if folder in groups:
            item.add_marker(pytest.mark.xdist_group(groups[folder]))
