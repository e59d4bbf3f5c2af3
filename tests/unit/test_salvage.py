"""A worker killed after its last act and before it could say so: the resumed job finds its own work and is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio import worker
from studio.data import stored
from studio.jobs.process import ProcessIdentity
from studio.services import datasets, jobs
from studio.services.studio import Studio, open_studio
from studio.settings import Settings


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    opened = open_studio(Settings(tmp_path / "workspace"))
    monkeypatch.setattr(opened.queue._runner, "start", lambda job, token: None)
    monkeypatch.setattr(worker.os, "nice", lambda by: 0)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    return opened


def begun_and_killed(studio: Studio, file: Path, *, remove: bool = False) -> int:
    """A job whose first worker has gone."""
    job = datasets.start_import(studio, [file], file.stem, remove_files=remove).id
    studio.queue.claim(job, ProcessIdentity(2**22 + 1, 1.0))
    studio.queue.advance()
    assert studio.jobs.get(job).state == "lost"
    return job


def resume(studio: Studio, job: int) -> None:
    jobs.resume(studio, job)
    worker.main([str(job), "--workspace", str(studio.settings.workspace)])


def imported(studio: Studio, file: Path, name: str) -> None:
    stored.import_files(
        [file], studio.settings.datasets, name, source="upload", progress=lambda *_: None, stopping=lambda: False
    )


def test_an_import_that_had_ended_is_done_when_resumed(studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "poems.txt"
    file.write_text("یک\nدو\n", encoding="utf8")
    job = begun_and_killed(studio, file, remove=True)
    imported(studio, file, "poems")
    made = (studio.settings.datasets / "poems" / "manifest.json").stat().st_mtime_ns
    resume(studio, job)
    found = studio.jobs.get(job)
    assert (found.state, (found.result or {})["rows"]) == ("done", 2)
    assert (studio.settings.datasets / "poems" / "manifest.json").stat().st_mtime_ns == made
    assert not file.exists(), "what was uploaded is cleared away all the same"


def test_one_that_had_not_ended_is_done_again(studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "poems.txt"
    file.write_text("یک\nدو\n", encoding="utf8")
    job = begun_and_killed(studio, file)
    resume(studio, job)
    assert studio.jobs.get(job).state == "done"
    assert datasets.manifest(studio, "poems").rows == 2


def test_somebody_elses_dataset_of_that_name_is_not_taken_for_it(studio: Studio, tmp_path: Path) -> None:
    file, other = tmp_path / "poems.txt", tmp_path / "other.txt"
    for each in (file, other):
        each.write_text("یک\nدو\n", encoding="utf8")
    job = begun_and_killed(studio, file)
    imported(studio, other, "poems")
    resume(studio, job)
    found = studio.jobs.get(job)
    assert (found.state, (found.error or {})["code"]) == ("failed", "data.name_taken")
