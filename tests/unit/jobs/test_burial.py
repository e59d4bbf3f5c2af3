"""A worker that the system ended for want of memory; its count stands in a file that only the kernel can raise."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from studio import memory
from studio.jobs.burial import KILLED
from studio.jobs.diary import DiaryStore
from studio.jobs.process import ProcessIdentity, current_process, is_alive
from studio.jobs.queue import Queue
from studio.jobs.store import Job, JobStore, NewJob
from tests.unit.jobs.test_queue import NotingRunner, identity, sleeper
from tests.unit.jobs.test_queue import store as store

RUN = "small-1"


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Writes how many processes have been ended."""
    file = tmp_path / "vmstat"
    monkeypatch.setattr(memory, "_EVENTS", file)

    def write(number: int) -> None:
        file.write_text(f"nr_free_pages 8\noom_kill {number}\nnuma_hit 3\n", encoding="utf8")

    write(4)
    return write


@pytest.fixture
def queue(store: JobStore) -> Queue:
    return Queue(store, NotingRunner())


def job_of(kind: str, store: JobStore) -> int:
    return store.add(NewJob(kind, RUN, {"run": RUN}, lane="device", run=RUN))


def die(queue: Queue, store: JobStore, job: int, count: Callable[[int], None], number: int) -> Job:
    """The job's worker is ended while the count becomes `number`."""
    worker = sleeper()
    assert queue.claim(job, identity(worker)) is not None
    count(number)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    queue.advance()
    return store.get(job)


def test_a_training_goes_on_twice_and_is_then_lost(
    queue: Queue, store: JobStore, count: Callable[[int], None]
) -> None:
    job = job_of("train", store)
    for times in (1, 2):
        found = die(queue, store, job, count, 4 + times)
        assert (found.state, found.error, found.arguments) == ("queued", None, {"run": RUN, KILLED: times})
    last = die(queue, store, job, count, 7)
    assert (last.state, (last.error or {})["code"]) == ("lost", "memory.host_killed")
    kinds = [entry.kind for entry in DiaryStore(store.database).rows(RUN)]
    assert kinds == ["started", "killed", "resumed", "killed", "resumed", "lost"]
    assert queue.resume(job).arguments == {"run": RUN}, "whoever resumes it has changed something"


def test_other_jobs_say_why(queue: Queue, store: JobStore, count: Callable[[int], None]) -> None:
    found = die(queue, store, job_of("evaluate", store), count, 5)
    assert (found.state, (found.error or {})["code"]) == ("lost", "memory.host_killed")


def test_another_death_is_no_want_of_memory(queue: Queue, store: JobStore, count: Callable[[int], None]) -> None:
    count(5)  # somebody else's, before
    found = die(queue, store, job_of("train", store), count, 5)
    assert (found.state, (found.error or {})["code"]) == ("lost", "job.lost")


def test_what_ended_long_before_does_not_count(queue: Queue, store: JobStore, count: Callable[[int], None]) -> None:
    job, worker = job_of("train", store), sleeper()
    assert queue.claim(job, identity(worker)) is not None
    count(5)
    store.beat(job)  # alive after it
    worker.kill()
    worker.wait()
    queue.advance()
    assert store.get(job).state == "lost"


def test_a_job_that_was_to_stop_has_stopped(queue: Queue, store: JobStore, count: Callable[[int], None]) -> None:
    job, worker = job_of("train", store), sleeper()
    assert queue.claim(job, identity(worker)) is not None
    queue.stop(job)
    count(5)
    worker.kill()
    worker.wait()
    queue.advance()
    assert store.get(job).state == "stopped"


def test_after_a_reboot_the_count_is_another(queue: Queue, store: JobStore, count: Callable[[int], None]) -> None:
    job = job_of("train", store)
    now = current_process()
    before = replace(now, started=float(int(now.started) ^ (1 << 40)))
    assert not is_alive(before)
    assert queue.claim(job, ProcessIdentity(before.pid, before.started)) is not None
    count(5)
    queue.advance()
    assert store.get(job).state == "lost"


def test_a_system_that_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_EVENTS", tmp_path / "none")
    assert memory.kills() is None
    (tmp_path / "none").write_text("nr_free_pages 8\n", encoding="utf8")
    assert memory.kills() is None


def test_this_machine_counts() -> None:
    if Path("/proc/vmstat").exists():
        assert memory.kills() is not None
