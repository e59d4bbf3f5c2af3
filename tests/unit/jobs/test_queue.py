"""The queue with real SQLite and real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.jobs.database import Database
from studio.jobs.lease import Leases
from studio.jobs.process import ProcessIdentity, current_process, identity_of, is_alive
from studio.jobs.queue import Queue
from studio.jobs.store import ENDED, Job, JobStore, NewJob


class NotingRunner:
    """Starts nothing and notes what it was asked to start; life and death are the kernel's."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.tokens: list[str | None] = []

    def start(self, job: Job, token: str | None) -> None:
        self.started.append(job.id)
        self.tokens.append(token)

    def alive(self, process: ProcessIdentity) -> bool:
        return is_alive(process)

    def kill(self, process: ProcessIdentity) -> None:
        os.kill(process.pid, 9)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    database = Database(tmp_path / "studio.db")
    yield JobStore(database)
    database.close()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def identity(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    return identity_of(process.pid)


def device_job(title: str, after: tuple[int, ...] = ()) -> NewJob:
    return NewJob("train", title, {}, lane="device", run=title, after=after)


def test_a_claim_is_one_transaction(store: JobStore) -> None:
    job = store.add(NewJob("fetch", "one", {}))
    queue, won = Queue(store, NotingRunner()), []
    barrier = threading.Barrier(8)

    def claim() -> None:
        barrier.wait()
        if queue.claim(job, current_process()) is not None:
            won.append(1)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get(job).attempts == 1


def test_many_who_look_and_claim_at_once_run_every_job_once(tmp_path: Path) -> None:
    """Eight threads, each with a database of its own, as apps, workers and commands have."""
    path, runs, barrier = tmp_path / "studio.db", [], threading.Barrier(8)
    first = JobStore(Database(path))
    jobs = [first.add(NewJob("fetch", str(number), {})) for number in range(12)]
    first.database.close()

    def work() -> None:
        store = JobStore(Database(path))
        queue = Queue(store, NotingRunner())
        barrier.wait()
        while any(store.get(job).state not in ENDED for job in jobs):
            queue.advance()
            for job in jobs:
                if queue.claim(job, current_process()) is not None:
                    runs.append(job)
                    store.finish(job, "done")
        store.database.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(runs) == jobs


def test_a_waiting_job_is_cancelled_and_one_that_runs_is_not(store: JobStore) -> None:
    queue = Queue(store, NotingRunner())
    first, second = store.add(NewJob("fetch", "first", {})), store.add(device_job("second", after=(1,)))
    assert queue.claim(first, current_process()) is not None
    with pytest.raises(StudioError, match=r"job\.not_waiting"):
        queue.cancel(first)
    assert store.get(first).state == "running"
    assert queue.cancel(second).state == "stopped"
    with pytest.raises(StudioError, match=r"job\.not_waiting"):
        queue.cancel(second)


def test_what_ended_by_itself_is_not_called_ended_by_force(store: JobStore) -> None:
    class Late(NotingRunner):
        def kill(self, process: ProcessIdentity) -> None:
            store.finish(job, "done", result={"rows": 3})

    job = store.add(NewJob("fetch", "one", {}))
    queue = Queue(store, Late())
    queue.claim(job, current_process())
    assert queue.kill(job).state == "done"
    assert store.get(job).result == {"rows": 3}


def test_only_one_job_has_the_device_and_the_other_says_for_whom_it_waits(store: JobStore) -> None:
    runner = NotingRunner()
    queue = Queue(store, runner)
    first, second = store.add(device_job("first")), store.add(device_job("second"))
    queue.advance()
    assert runner.started == [first]
    assert (store.get(second).state, store.get(second).note) == ("waiting", "first")
    assert queue.claim(first, current_process()) is not None
    assert queue.claim(second, current_process()) is None
    store.finish(first, "done")
    queue.advance()
    assert runner.started == [first, second]


def test_a_chat_that_holds_the_device_is_waited_for(store: JobStore) -> None:
    queue = Queue(store, NotingRunner())
    leases = Leases(store.database, is_alive)
    leases.take("chat", "گفت‌وگو", current_process())
    job = store.add(device_job("train"))
    queue.advance()
    assert (store.get(job).state, store.get(job).note) == ("waiting", "گفت‌وگو")
    with pytest.raises(StudioError, match="device.busy"):
        leases.take("job:9", "other", current_process())
    leases.give_back("chat")
    assert queue.claim(job, current_process()) is not None


def test_a_dead_worker_is_noticed_and_its_job_can_be_resumed(store: JobStore) -> None:
    runner = NotingRunner()
    queue = Queue(store, runner)
    job = store.add(device_job("train"))
    worker = sleeper()
    assert queue.claim(job, identity(worker)) is not None
    queue.advance()
    assert store.get(job).state == "running"
    worker.kill()
    worker.wait()
    queue.advance()
    assert store.get(job).state == "lost"
    assert (store.get(job).error or {})["code"] == "job.lost"
    queue.resume(job)
    queue.advance()
    assert runner.started == [job]
    assert queue.claim(job, current_process()) is not None
    assert store.get(job).attempts == 2


def test_a_reused_pid_is_not_the_worker(store: JobStore) -> None:
    queue = Queue(store, NotingRunner())
    job = store.add(device_job("train"))
    mine = current_process()
    queue.claim(job, ProcessIdentity(mine.pid, mine.started - 500))
    queue.advance()
    assert store.get(job).state == "lost"


def test_what_depends_on_a_failed_job_fails_with_its_name(store: JobStore) -> None:
    runner = NotingRunner()
    queue = Queue(store, runner)
    first = store.add(NewJob("fetch", "the model", {}))
    second = store.add(device_job("train", after=(first,)))
    queue.advance()
    assert (runner.started, store.get(second).state) == ([first], "waiting")
    queue.claim(first, current_process())
    store.finish(first, "failed", error=StudioError("hub.no_network"))
    queue.advance()
    error = store.get(second).error
    assert store.get(second).state == "failed"
    assert error is not None
    assert (error["code"], error["details"]["other"]) == ("job.needs_other", "the model")


def test_a_job_that_needs_a_token_waits_for_a_login(store: JobStore) -> None:
    runner, token = NotingRunner(), [None]
    queue = Queue(store, runner, lambda: token[0])
    job = store.add(NewJob("fetch", "gated", {}, needs_token=True))
    queue.advance()
    assert (store.get(job).state, runner.started) == ("needs_login", [])
    token[0] = "a token"  # type: ignore[call-overload]
    queue.advance()
    assert (runner.started, runner.tokens) == ([job], ["a token"])


def test_stop_takes_a_pending_job_off_the_queue_and_asks_a_running_one(store: JobStore) -> None:
    queue = Queue(store, NotingRunner())
    pending, running = store.add(device_job("pending")), store.add(NewJob("fetch", "running", {}))
    assert queue.stop(pending).state == "stopped"
    queue.claim(running, current_process())
    assert not store.beat(running)
    assert queue.stop(running).state == "stopping"
    assert store.beat(running)
    store.finish(running, "stopped")
    with pytest.raises(StudioError, match="job.already_ended"):
        queue.stop(running)


def test_an_unknown_job_has_its_sentence(store: JobStore) -> None:
    with pytest.raises(StudioError, match="job.unknown"):
        Queue(store, NotingRunner()).stop(99)


def test_a_worker_that_never_claims_is_started_again(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = NotingRunner()
    queue = Queue(store, runner)
    job = store.add(NewJob("fetch", "one", {}))
    queue.advance()
    queue.advance()
    assert runner.started == [job]
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    queue.advance()
    assert runner.started == [job, job]


def test_time_left_follows_from_what_was_done_since_the_first_report(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(store, NotingRunner())
    job = store.add(NewJob("fetch", "one", {}))
    queue.claim(job, current_process())
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    store.report(job, 0.2, "progress.x")
    clock += 10
    store.report(job, 0.6, "progress.x")
    assert store.get(job).eta_seconds == pytest.approx(10)
