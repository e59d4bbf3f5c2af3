"""What a machine does to a queue: a locked database, a clock that is set, a reboot, pids that come again."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, explain
from studio.jobs import process as processes
from studio.jobs.database import Database
from studio.jobs.process import current_process, identity_of, is_alive
from studio.jobs.queue import Queue
from studio.jobs.store import Job, JobStore, NewJob
from tests.unit.jobs.test_queue import NotingRunner, sleeper

HOURS = 5 * 3600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    database = Database(tmp_path / "studio.db")
    yield JobStore(database)
    database.close()


HOLDER = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
held.execute("COMMIT")
"""


def hold(path: Path, seconds: float) -> subprocess.Popen[str]:
    """Another program that takes the write lock and keeps it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
    return holder


def test_a_database_locked_for_seconds_costs_seconds_and_nothing_else(store: JobStore, tmp_path: Path) -> None:
    queue, runner = Queue(store, NotingRunner()), NotingRunner()
    job = store.add(NewJob("fetch", "one", {}))
    queue.claim(job, current_process())
    holder, began = hold(tmp_path / "studio.db", 3), time.monotonic()
    failed: list[BaseException] = []

    def tried(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)

    works = [
        lambda: store.report(job, 0.5, "half"),
        lambda: store.beat(job),
        lambda: Queue(store, runner).advance(),
        lambda: store.add(NewJob("fetch", "two", {})),
        *[lambda: store.get(job)] * 30,  # more readers than the pool of connections used to hold
    ]
    threads = [threading.Thread(target=tried, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert time.monotonic() - began > 2
    assert (store.get(job).progress, len(store.listing())) == (0.5, 2)
    holder.wait(10)


def test_one_that_stays_locked_is_a_sentence_not_a_trace(tmp_path: Path) -> None:
    database = Database(tmp_path / "studio.db", patience=0.3)
    holder = hold(tmp_path / "studio.db", 20)
    try:
        for work in (
            lambda: JobStore(database).add(NewJob("fetch", "one", {})),
            lambda: Database(tmp_path / "studio.db", 0.3),
        ):
            with pytest.raises(StudioError) as caught:
                work()
            assert caught.value.code == "database.locked"
            assert all("studio.db" in explain(locale, caught.value) for locale in LOCALES)
    finally:
        holder.kill()
        holder.wait()
    assert JobStore(database).add(NewJob("fetch", "one", {})) == 1, "it works again once it is free"


def test_other_faults_of_the_database_are_not_called_a_lock(tmp_path: Path) -> None:
    (tmp_path / "studio.db").write_bytes(b"this is no database, it is a poem " * 40)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the driver's own, whichever it is
        Database(tmp_path / "studio.db")
    assert not isinstance(caught.value, StudioError)
    assert isinstance(getattr(caught.value, "orig", caught.value), sqlite3.DatabaseError)


def test_a_worker_hears_of_a_stop_after_its_database_was_locked(store: JobStore, tmp_path: Path) -> None:
    from studio.worker import _Heartbeat

    impatient = JobStore(Database(tmp_path / "studio.db", patience=0.1))
    job = store.add(NewJob("fetch", "one", {}))
    Queue(store, NotingRunner()).claim(job, current_process())
    stop = threading.Event()
    heart = _Heartbeat(impatient, job, stop)
    holder = hold(tmp_path / "studio.db", 2.5)
    heart.start()
    holder.wait(10)
    Queue(store, NotingRunner()).stop(job)
    assert stop.wait(10), "the heart stood still at the first lock"
    heart.ended.set()
    heart.join()


@pytest.mark.parametrize("jump", [-HOURS, HOURS], ids=["back", "forward"])
def test_the_time_left_does_not_hear_of_a_clock_that_is_set(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    job = store.add(NewJob("fetch", "one", {}))
    Queue(store, NotingRunner()).claim(job, current_process())
    wall, steady = time.time(), time.monotonic()
    monkeypatch.setattr(time, "time", lambda: wall)
    monkeypatch.setattr(time, "monotonic", lambda: steady)
    store.report(job, 0.2, "x")
    steady, wall = steady + 10, wall + jump
    store.report(job, 0.6, "x")
    assert store.get(job).eta_seconds == pytest.approx(10)
    steady, wall = steady + 1, wall - 3 * jump
    store.beat(job)
    assert store.get(job).eta_seconds == pytest.approx(11)


def test_a_time_left_beyond_reason_is_not_told(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    job = store.add(NewJob("fetch", "one", {}))
    Queue(store, NotingRunner()).claim(job, current_process())
    steady = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: steady)
    store.report(job, 0.0, "x")
    steady += 3600
    store.report(job, 1e-9, "x")
    assert store.get(job).eta_seconds is None


@pytest.mark.parametrize("jump", [-HOURS, HOURS], ids=["back", "forward"])
def test_a_job_being_started_when_the_clock_is_set_is_not_held_up(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Its worker never came; with the clock set back it would have been waited for until the clock was there again."""
    runner = NotingRunner()
    queue = Queue(store, runner)
    first, second = (store.add(NewJob("train", title, {}, "device", title)) for title in ("first", "second"))
    queue.advance()
    now = time.time() + jump
    monkeypatch.setattr(time, "time", lambda: now)
    queue.advance()
    assert runner.started == [first, first]
    assert queue.claim(first, current_process()) is not None
    assert queue.claim(first, current_process()) is None, "the worker of the first start comes late and finds it taken"
    store.finish(first, "done")
    queue.advance()
    assert runner.started == [first, first, second]


def test_a_worker_lives_on_when_the_clock_is_set(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start that psutil tells is boot time plus ticks, and boot time moves with the clock."""
    worker = sleeper()
    try:
        queue = Queue(store, NotingRunner())
        job = store.add(NewJob("train", "run", {}, "device", "run"))
        queue.claim(job, identity_of(worker.pid))
        told = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: told(self) + HOURS)
        monkeypatch.setattr(psutil, "boot_time", lambda: time.time() - 60)
        queue.advance()
        assert store.get(job).state == "running"
    finally:
        worker.kill()
        worker.wait()


def test_after_a_reboot_nobody_is_who_they_were(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pid, started as many ticks after boot as before: only the boot is another."""
    worker = sleeper()
    try:
        queue, runner = Queue(store, NotingRunner()), NotingRunner()
        job, waiting = (store.add(NewJob("train", title, {}, "device", title)) for title in ("run", "next"))
        queue.claim(job, identity_of(worker.pid))
        another = processes.boot_number() ^ 1
        monkeypatch.setattr(processes, "boot_number", lambda: another)
        Queue(store, runner).advance()
        assert store.get(job).state == "lost"
        assert runner.started == [waiting], "nor does the dead worker hold the device"
    finally:
        worker.kill()
        worker.wait()


def test_a_pid_that_came_again_and_one_that_is_gone_are_not_the_worker(store: JobStore) -> None:
    worker = sleeper()
    identity = identity_of(worker.pid)
    assert is_alive(identity)
    assert not is_alive(processes.ProcessIdentity(worker.pid, identity.started - 1)), "a tick earlier is another"
    worker.kill()
    while processes.Path(f"/proc/{worker.pid}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    assert not is_alive(identity), "a zombie does nothing any more"
    worker.wait()
    assert not is_alive(identity)
    with pytest.raises(psutil.NoSuchProcess):
        identity_of(worker.pid)
    with store.database.writing() as connection:  # a REAL keeps every bit of it
        connection.exec_driver_sql("INSERT INTO leases VALUES ('d', 'h', 't', 1, ?, 0)", (identity.started,))
        assert connection.exec_driver_sql("SELECT pid_started FROM leases").scalar_one() == identity.started


def test_a_worker_that_dies_before_its_claim_is_replaced_soon(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at once, since it might die every time, and not only after the minute that a slow start may take."""

    class Telling(NotingRunner):
        def start(self, job: Job, token: str | None) -> processes.ProcessIdentity:
            super().start(job, token)
            return identity_of(worker.pid)

    worker, runner = sleeper(), Telling()
    queue = Queue(store, runner)
    job = store.add(NewJob("fetch", "one", {}))
    queue.advance()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    now += 30
    queue.advance()
    assert runner.started == [job], "a slow one is waited for"
    worker.kill()
    worker.wait()
    worker = sleeper()
    try:
        queue.advance()
        assert runner.started == [job, job]
        now += 16
        queue.advance()
        assert runner.started == [job, job], "the second one lives"
        assert queue.claim(job, identity_of(worker.pid)) is not None
    finally:
        worker.kill()
        worker.wait()
