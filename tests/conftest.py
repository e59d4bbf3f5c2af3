"""Fixtures that every test may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import studio.settings  # noqa: F401 - its environment must stand before torch is imported
from tests.tiny import tiny_model as tiny_model

GROUPS = {
    ("browser", None): "pages",
    ("real", "test_recipes.py"): "recipes",
    ("real", None): "models",
    ("ui", None): "handlers",
}


class Groups(LoadScopeScheduling):
    """Browsers in one process, recipes in another, other real models in a third; unit tests fill whichever is free.

    Browsers beside browsers would slow each other until their time limits. The three long groups begin first and in
    this order: the longest of them, begun last, once outlasted all else by ten minutes. (xdist's own ``loadgroup``
    writes to a field of test ids that pytest 9.2 no longer reads.)
    """

    def _split_scope(self, nodeid: str) -> str:
        _, room, file = nodeid.split("::")[0].split("/")[:3]
        return GROUPS.get((room, file)) or GROUPS.get((room, None)) or nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """What ``pytest --numprocesses 3`` spreads the tests with."""
    config.option.loadscopereorder = False
    return Groups(config, log)
