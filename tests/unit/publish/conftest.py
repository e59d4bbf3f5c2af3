"""What tests of merges share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.errors import StudioError
from studio.publish import proof, reload
from studio.publish.verify import Reloaded


@pytest.fixture
def opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fresh process takes ten seconds to start: most tests run what it runs in their own."""

    def check(folder: Path, expected: Any) -> Reloaded:
        answer = reload.main(folder, expected)
        for name, reason in answer.pop("failed"):
            raise StudioError("publish.reload_failed", check=name, reason=reason)
        return Reloaded(**answer)

    monkeypatch.setattr(proof, "check_reload", check)
