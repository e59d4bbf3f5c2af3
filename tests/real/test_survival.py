"""A training that nobody stops by accident: the app is killed and started, the worker is killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import LiveStudio

SECONDS = 240


@pytest.fixture
def live(workspace: Path) -> Iterator[LiveStudio]:
    studio = LiveStudio(workspace).start()
    yield studio
    studio.close()


def wait_for(what: str, ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < give_up, f"waited {SECONDS} s for {what}"
        time.sleep(0.2)


def curve(live: LiveStudio, run: str) -> list[int]:
    """The steps whose loss a page that opens now would draw."""
    answer = json.loads(live.get(f"/live/curves?subject={run}"))
    return [int(step) for step in answer.get("series", {}).get("loss", {}).get("x", [])]


def state(live: LiveStudio, job: str) -> str:
    return str(live.command("jobs", "show", job)["state"])


def test_a_run_outlives_its_app_and_its_worker(live: LiveStudio) -> None:
    # As a smoke run nothing is measured before its first step, but it has as many steps as somebody could wait for.
    steps = ("--set", "stages.0.budget.steps=4000", "--set", "stages.0.length=256")
    started = live.command("run", "first_steps", "--smoke", *steps, "--detach")
    run, job = started["run"], str(started["job"])
    wait_for("the first steps", lambda: len(curve(live, run)) >= 2)
    steps_go_on_without_the_app(live, run, job)
    live.command("jobs", "stop", job)
    wait_for("the stop", lambda: state(live, job) == "stopped")
    assert list(live.workspace.glob(f"runs/{run}/stages/*/checkpoints/step-*/adapter_model.safetensors"))
    kept = len(curve(live, run))
    live.command("jobs", "resume", job)
    wait_for("steps after the resume", lambda: len(curve(live, run)) >= kept + 2)
    os.kill(_worker(live, job), signal.SIGKILL)
    wait_for("the death to be noticed", lambda: state(live, job) == "lost")
    told = live.command("jobs", "show", job)
    assert told["error"]["code"] == "job.lost"
    assert told["message"]
    live.command("jobs", "resume", job)
    wait_for("steps after the second resume", lambda: state(live, job) == "running" and len(curve(live, run)) > kept)
    steps = curve(live, run)
    assert steps == list(range(1, len(steps) + 1)), "a resumed run draws every step once"


def steps_go_on_without_the_app(live: LiveStudio, run: str, job: str) -> None:
    live.kill()
    assert state(live, job) == "running"
    time.sleep(5)
    live.start()
    after = curve(live, run)
    live.get("/fa/?tab=train")
    assert after == list(range(1, len(after) + 1)), "the plot has a hole"
    wait_for("two more steps", lambda: len(curve(live, run)) >= len(after) + 2)


def _worker(live: LiveStudio, job: str) -> int:
    from studio.services.studio import open_studio
    from studio.settings import Settings

    process = open_studio(Settings(live.workspace)).jobs.get(int(job)).process
    assert process is not None
    return process.pid
