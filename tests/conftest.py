"""Fixtures that every test may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import studio.settings  # noqa: F401 - its environment must stand before torch is imported
from tests.tiny import tiny_model as tiny_model

GROUPS = {"browser": "pages", "ui": "handlers", "real": "models"}


class Groups(LoadScopeScheduling):
    """Browsers in one process, live handlers in another, real models in a third; unit tests fill whichever is free.

    Browsers beside browsers, and models beside models, would slow each other until their time limits. (xdist's own
    ``loadgroup`` writes to a field of test ids that pytest 9.2 no longer reads.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return GROUPS.get(nodeid.split("/")[1], nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """What ``pytest --numprocesses 3`` spreads the tests with."""
    return Groups(config, log)
