"""A cleaning whose worker is killed: the job says so, nobody goes on working for it, and a restart finishes it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from studio.data import incoming
from studio.data.cleaning.crew import usable_cores
from studio.data.manifest import read_manifest
from studio.data.sample import Text
from studio.errors import StudioError
from studio.i18n import explain
from studio.services import cleaning
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.unit.data.cleaning.test_clean import OTHER, PROSE, store

SECONDS = 60
ROWS = 6_000
"""About 10 MB in 60 pieces: more than two processes clean while they are looked for."""


def wait_for(what: str, ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < give_up, f"waited {SECONDS} s for {what}"
        time.sleep(0.02)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setattr(incoming, "GROUP_ROWS", 100)
    settings = Settings(tmp_path / "workspace")
    settings.datasets.mkdir(parents=True)
    rows = [
        Text(" ".join(f"{PROSE[:-1]} با {number} و {turn}. {OTHER}" for turn in range(8))) for number in range(ROWS)
    ]
    store(settings.datasets, "news", rows)
    return open_studio(settings)


def test_a_killed_cleaning_leaves_nobody_and_is_finished_by_a_restart(studio: Studio) -> None:
    datasets = studio.settings.datasets
    job = cleaning.start_clean(studio, "news", out="clean").id
    wait_for("results of the crew", lambda: bool(list(datasets.glob(".incoming-*/scratch/piece-*.npz"))))
    process = studio.jobs.get(job).process
    assert process is not None
    crew = psutil.Process(process.pid).children(recursive=True)
    assert len(crew) >= (usable_cores() if usable_cores() > 1 else 0)
    os.kill(process.pid, signal.SIGKILL)

    def look() -> bool:
        studio.queue.advance()
        return studio.jobs.get(job).state == "lost"

    wait_for("the death to be noticed", look)
    told = studio.jobs.get(job).error
    assert told is not None
    assert told["code"] == "job.lost"
    for locale in ("fa", "en"):
        sentence = explain(locale, StudioError(told["code"], **told["details"]))
        assert len(sentence) > 20
        assert "job.lost" not in sentence, "a sentence, not its key"
    wait_for("the crew to leave", lambda: not any(map(_runs, crew)))
    assert [folder.name for folder in datasets.iterdir() if not folder.name.startswith(".")] == ["news"]

    (left,) = datasets.glob(".incoming-*")
    os.utime(left, (time.time() - 120, time.time() - 120))  # as if a while had passed before the restart
    studio.queue.resume(job)
    studio.queue.advance()
    wait_for("the second attempt", lambda: studio.jobs.get(job).state in ("done", "failed", "lost"))
    assert studio.jobs.get(job).state == "done"
    assert sorted(folder.name for folder in datasets.iterdir()) == ["clean", "news"], "nothing half-stored is left"
    assert not (datasets / "clean" / "scratch").exists()
    manifest = read_manifest(datasets / "clean")
    assert manifest.cleaned is not None
    assert (manifest.cleaned.parent, 0 < manifest.rows <= ROWS) == ("news", True)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
