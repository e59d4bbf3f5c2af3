"""The whole queue judged at once decides as each job judged by itself did, at a cost that does not grow with it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from sqlalchemy import Connection, event, text

from studio.errors import StudioError
from studio.jobs.database import Database
from studio.jobs.lease import read_lease, write_lease
from studio.jobs.moment import LIGHT_AT_ONCE, SPAWN_SECONDS
from studio.jobs.process import ProcessIdentity, current_process, is_alive
from studio.jobs.queue import Queue
from studio.jobs.store import Job, JobStore, NewJob, as_job, end_job, insert_job
from tests.unit.jobs.test_queue import NotingRunner


class OneByOne:
    """The queue as it was before it looked at everything at once: three questions for every pending job."""

    def __init__(self, connection: Connection, *, has_token: bool) -> None:
        self._connection, self._has_token = connection, has_token
        self._recent = time.time() - SPAWN_SECONDS

    def advance(self) -> list[int]:
        query = text("SELECT * FROM jobs WHERE state IN ('queued', 'waiting', 'needs_login') ORDER BY position")
        jobs = [as_job(row) for row in self._connection.execute(query).mappings()]
        return [job.id for job in jobs if self._consider(job)]

    def _set(self, job: int, **values: Any) -> None:
        named = ", ".join(f"{name} = :{name}" for name in values)
        self._connection.execute(text(f"UPDATE jobs SET {named} WHERE id = :id"), {"id": job, **values})

    def _consider(self, job: Job) -> bool:
        if job.spawned is not None and job.spawned > self._recent:
            return False
        state, note = self._judge(job)
        if state == "failed":
            end_job(self._connection, job.id, "failed", error=StudioError("job.needs_other"))
        elif state == "start":
            self._set(job.id, spawned=time.time())
        else:
            self._set(job.id, state=state, note=note)
        return state == "start"

    def _judge(self, job: Job) -> tuple[str, str | None]:
        for other in job.after:
            found = self._connection.execute(text("SELECT state, title FROM jobs WHERE id = :id"), {"id": other}).one()
            if found.state in ("failed", "lost", "stopped"):
                return "failed", None
            if found.state != "done":
                return "waiting", str(found.title)
        if job.needs_token and not self._has_token:
            return "needs_login", None
        ahead = self._ahead(job)
        return ("start", None) if ahead is None else ("waiting", ahead)

    def _ahead(self, job: Job) -> str | None:
        values = {"id": job.id, "recent": self._recent, "position": job.position}
        if job.lane == "light":
            query = (
                "SELECT COUNT(*) FROM jobs WHERE lane = 'light' AND id != :id AND (state IN ('running', 'stopping')"
                " OR (state IN ('queued', 'waiting') AND spawned > :recent))"
            )
            count = self._connection.execute(text(query), values).scalar_one()
            return None if count < LIGHT_AT_ONCE else ""
        lease = read_lease(self._connection, is_alive)
        if lease is not None:
            return lease.title
        query = (
            "SELECT title FROM jobs WHERE lane = 'device' AND id != :id AND state IN ('queued', 'waiting')"
            " AND spawned > :recent AND position < :position ORDER BY position"
        )
        found = self._connection.execute(text(query), values).scalar()
        return None if found is None else str(found)


STATES = ("queued", "queued", "queued", "waiting", "needs_login", "done", "failed", "stopped")


@some.composite
def queues(draw: some.DrawFn) -> list[dict[str, Any]]:
    """Rows of jobs in any state, each after some of those before it."""
    count = draw(some.integers(1, 9))
    return [
        {
            "lane": draw(some.sampled_from(("light", "device"))),
            "state": draw(some.sampled_from(STATES)),
            "after": tuple(draw(some.sets(some.integers(1, number), max_size=2))) if number else (),
            "needs_token": draw(some.booleans()),
            "spawned": draw(some.sampled_from((None, None, None, 5.0, 500.0))),
        }
        for number in range(count)
    ]


def fill(store: JobStore, rows: list[dict[str, Any]], *, leased: bool) -> None:
    """Make `rows` the only jobs there are, with ids from 1."""
    now = time.time()
    with store.database.writing() as connection:
        for table in ("jobs", "leases", "sqlite_sequence"):
            connection.execute(text(f"DELETE FROM {table}"))
        for number, row in enumerate(rows):
            new = NewJob("x", f"job {number}", {}, row["lane"], None, row["after"], row["needs_token"])
            values = {"state": row["state"], "spawned": row["spawned"] and now - row["spawned"]}
            job = insert_job(connection, new)
            connection.execute(
                text("UPDATE jobs SET state = :state, spawned = :spawned WHERE id = :id"), {"id": job, **values}
            )
        if leased:
            write_lease(connection, "chat", "the chat", current_process())


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobStore, JobStore]:
    folder = tmp_path_factory.mktemp("moment")
    return JobStore(Database(folder / "ours.db")), JobStore(Database(folder / "theirs.db"))


def standing(store: JobStore) -> list[tuple[int, str, str | None, bool]]:
    pending = ("waiting", "needs_login")
    return [
        (job.id, job.state, job.note if job.state in pending else None, job.spawned is None) for job in store.listing()
    ]


@settings(max_examples=150, deadline=None)
@given(rows=queues(), has_token=some.booleans(), leased=some.booleans())
def test_it_decides_as_one_by_one_did(
    stores: tuple[JobStore, JobStore], rows: list[dict[str, Any]], has_token: bool, leased: bool
) -> None:
    ours, theirs = stores
    for store in stores:
        fill(store, rows, leased=leased)
    runner = NotingRunner()
    Queue(ours, runner, lambda: "a token" if has_token else None).advance()
    with theirs.database.writing() as connection:
        started = OneByOne(connection, has_token=has_token).advance()
    assert runner.started == started
    assert standing(ours) == standing(theirs)


def test_a_queue_of_five_hundred_is_judged_in_a_few_questions(tmp_path: Path) -> None:
    store = JobStore(Database(tmp_path / "studio.db"))
    first = store.add(NewJob("fetch", "gated", {}, needs_token=True))
    for number in range(499):
        after = (first,) if number % 2 else (first + number,)
        store.add(NewJob("train", f"run {number}", {"recipe": "x" * 200}, "device", None, after))
    queue, asked = Queue(store, NotingRunner()), []
    queue.advance()
    assert {job.state for job in store.listing(limit=1000)} == {"needs_login", "waiting"}
    listener = lambda *given: asked.append(given[2])  # noqa: E731
    event.listen(store.database._engine, "before_cursor_execute", listener)
    queue.advance()
    assert 0 < len(asked) <= 8
    assert not any("UPDATE" in each or "IMMEDIATE" in each for each in asked), "a look that changes nothing only reads"


def test_a_job_whose_dependency_is_gone_fails_and_the_others_go_on(tmp_path: Path) -> None:
    store, runner = JobStore(Database(tmp_path / "studio.db")), NotingRunner()
    first = store.add(NewJob("fetch", "first", {}))
    orphan, other = store.add(NewJob("fetch", "orphan", {}, after=(first,))), store.add(NewJob("fetch", "other", {}))
    with store.database.writing() as connection:
        connection.execute(text("DELETE FROM jobs WHERE id = :id"), {"id": first})
    Queue(store, runner).advance()
    assert (store.get(orphan).state, runner.started) == ("failed", [other])


def test_a_lease_of_a_dead_process_holds_nobody(tmp_path: Path) -> None:
    store, runner = JobStore(Database(tmp_path / "studio.db")), NotingRunner()
    mine = current_process()
    with store.database.writing() as connection:
        write_lease(connection, "chat", "the chat", ProcessIdentity(mine.pid, mine.started - 50))
    job = store.add(NewJob("train", "run", {}, "device", "run"))
    Queue(store, runner).advance()
    assert runner.started == [job]
