"""One app for all tests of handlers, asked in both languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.i18n import LOCALES
from tests.live import LiveStudio
from tests.ui.api import Page


@pytest.fixture(scope="session")
def api_live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStudio]:
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}  # nobody listens there: no test asks the real Hub
    studio = LiveStudio(tmp_path_factory.mktemp("live") / "workspace", **nowhere).start()
    yield studio
    studio.close()


@pytest.fixture(scope="session", params=LOCALES)
def page(request: pytest.FixtureRequest, api_live: LiveStudio) -> Page:
    return Page(api_live, request.param)
