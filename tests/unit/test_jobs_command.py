"""``jobs`` in a terminal: order, cancel and logs; and an app whose look at the queue fails looks again."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import app
from studio.errors import StudioError
from studio.i18n import explain
from studio.jobs.store import NewJob
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import command


def test_waiting_jobs_are_moved_cancelled_and_their_logs_read(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    studio = open_studio(Settings(workspace))
    first, second, third = (
        studio.jobs.add(NewJob("fetch", title, {}, needs_token=True, after=after))
        for title, after in (("one", ()), ("two", ()), ("three", (1,)))
    )
    moved = command(workspace, "jobs", "move", str(second), "first")
    assert (moved["job"], moved["place"], moved["after"]) == (second, 1, [])
    refused = command(workspace, "jobs", "move", str(third), "up", status=1)
    assert (refused["error"], refused["details"]) == ("job.must_follow", {"job": "three", "other": "one"})
    assert command(workspace, "jobs", "move", str(third), "sideways", status=1)["error"] == "job.no_such_way"
    assert command(workspace, "jobs", "cancel", str(first))["state"] == "stopped"
    shown = command(workspace, "jobs", "show", str(third))
    assert (shown["state"], shown["error"]["code"], shown["after"]) == ("failed", "job.needs_other", [first])
    assert command(workspace, "jobs", "cancel", str(first), status=1)["error"] == "job.not_waiting"
    assert command(workspace, "jobs", "log", str(second), status=1)["error"] == "job.no_log"
    (studio.settings.logs / f"job-{second}.txt").write_text("a\rb\nhf_aaaaaaaaaaaaaaaa\n")
    assert command(workspace, "jobs", "log", str(second)) == {"job": second, "lines": ["b", "hf_•••"]}
    assert command(workspace, "jobs", "end", str(second))["state"] in ("queued", "needs_login"), "it does not run"


@pytest.mark.parametrize("fault", [StudioError("database.locked", seconds=30), OSError(12, "Cannot allocate memory")])
def test_the_app_looks_at_the_queue_again_after_a_fault(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closing, looks = threading.Event(), []

    def advance() -> None:
        looks.append(1)
        if len(looks) == 1:
            raise fault
        closing.set()

    monkeypatch.setattr(app, "LOOK_SECONDS", 0.01)
    studio: Any = SimpleNamespace(queue=SimpleNamespace(advance=advance))
    app._watch(studio, closing, "en")
    assert len(looks) == 2
    told = explain("en", fault) if isinstance(fault, StudioError) else str(fault)
    assert told in capsys.readouterr().err
