"""The queue: who is next, who waits for whom, and what became of workers that died.

Nothing here runs by itself. Whoever looks (the app's poll, a worker that ends, a command line) moves the queue on, so
it advances with the app down. A worker claims its job in one write transaction: two can never run the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from studio.errors import StudioError
from studio.jobs.database import Database
from studio.jobs.diary import note_run
from studio.jobs.lease import Lease, read_lease, write_lease
from studio.jobs.process import ProcessIdentity
from studio.jobs.runner import Runner
from studio.jobs.store import ACTIVE, ENDED, PENDING, Job, JobStore, as_job, end_job

SPAWN_SECONDS = 60.0
"""A worker that was started but has not claimed its job within this time is taken for dead."""

LIGHT_AT_ONCE = 2
"""Downloads and imports that may run beside each other; more would only share the same disk and network."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: str  # start | waiting | failed | needs_login
    note: str | None = None
    error: StudioError | None = None


class Queue:
    """Moves jobs from queued to running, and notices the dead."""

    def __init__(self, store: JobStore, runner: Runner, token: Callable[[], str | None] = lambda: None) -> None:
        self._store = store
        self._database: Database = store.database
        self._runner = runner
        self._token = token

    def advance(self) -> None:
        """Mark dead jobs lost, then start workers for all that can run now."""
        if not self._has_work():
            return
        with self._database.writing() as connection:
            self._bury(connection)
            to_start = [job for job in self._pending(connection) if self._consider(connection, job)]
        for job in to_start:
            self._runner.start(job, self._token() if job.needs_token else None)

    def claim(self, job: int, process: ProcessIdentity) -> Job | None:
        """Make `process` the worker of `job`, with the device if it needs that; None if somebody else was first."""
        with self._database.writing() as connection:
            row = connection.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": job}).mappings().first()
            if row is None or row["state"] not in PENDING:
                return None
            wanted = as_job(row)
            if self._judge(connection, wanted, has_token=True).state != "start":
                connection.execute(text("UPDATE jobs SET spawned = NULL WHERE id = :id"), {"id": job})
                return None
            connection.execute(
                text("""
                UPDATE jobs SET state = 'running', pid = :pid, pid_started = :started, started = :now,
                    heartbeat = :now, finished = NULL, attempts = attempts + 1, progress_origin = NULL,
                    progress_since = NULL, note = NULL, result = NULL, error = NULL
                WHERE id = :id"""),
                {"id": job, "pid": process.pid, "started": process.started, "now": time.time()},
            )
            note_run(connection, job, "started" if wanted.attempts == 0 else "resumed")
            if wanted.lane == "device":
                write_lease(connection, f"job:{job}", wanted.title, process)
        return self._store.get(job)

    def stop(self, job: int) -> Job:
        """Ask a running job to stop at its next step; take a pending one from the queue.

        Raises:
            StudioError: ``job.unknown`` or ``job.already_ended``.
        """
        found = self._store.get(job)
        if found.state in ENDED:
            raise StudioError("job.already_ended", job=str(job), state=found.state)
        with self._database.writing() as connection:
            state = connection.execute(text("SELECT state FROM jobs WHERE id = :id"), {"id": job}).scalar_one()
            if state in PENDING:
                end_job(connection, job, "stopped")
            elif state in ACTIVE:
                connection.execute(
                    text("UPDATE jobs SET stop_requested = 1, state = 'stopping' WHERE id = :id"), {"id": job}
                )
                note_run(connection, job, "stop_asked")
        return self._store.get(job)

    def kill(self, job: int) -> Job:
        """End a job that did not stop by itself; what it saved so far stays."""
        found = self._store.get(job)
        if found.state in ACTIVE and found.process is not None:
            self._runner.kill(found.process)
            self._store.finish(job, "stopped")
        return self._store.get(job)

    def resume(self, job: int) -> Job:
        """Put an ended job back at the end of the queue; a training goes on from its newest whole checkpoint.

        Raises:
            StudioError: ``job.unknown``, ``job.still_running`` or ``job.already_done``.
        """
        found = self._store.get(job)
        if found.state == "done":
            raise StudioError("job.already_done", job=str(job))
        if found.state not in ENDED:
            raise StudioError("job.still_running", job=str(job))
        with self._database.writing() as connection:
            connection.execute(
                text("""
                UPDATE jobs SET state = 'queued', stop_requested = 0, spawned = NULL, finished = NULL, error = NULL,
                    pid = NULL, pid_started = NULL, position = (SELECT MAX(position) + 1 FROM jobs)
                WHERE id = :id AND state IN ('stopped', 'failed', 'lost')"""),
                {"id": job},
            )
        return self._store.get(job)

    def device_is_awaited(self) -> bool:
        """Whether a job waits for the device, so that whoever holds it idly may leave."""
        query = text("SELECT 1 FROM jobs WHERE lane = 'device' AND state IN ('queued', 'waiting') LIMIT 1")
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _has_work(self) -> bool:
        # An idle poll must cost one read, not a write transaction.
        names = ", ".join(f"'{state}'" for state in (*PENDING, *ACTIVE))
        with self._database.reading() as connection:
            return connection.execute(text(f"SELECT 1 FROM jobs WHERE state IN ({names}) LIMIT 1")).first() is not None

    def _bury(self, connection: Connection) -> None:
        rows = connection.execute(text("SELECT * FROM jobs WHERE state IN ('running', 'stopping')")).mappings().all()
        for job in map(as_job, rows):
            if job.process is not None and not self._runner.alive(job.process):
                lost = StudioError("job.lost", job=str(job.id))
                end_job(connection, job.id, "stopped" if job.stop_requested else "lost", error=lost)

    def _pending(self, connection: Connection) -> list[Job]:
        query = text("SELECT * FROM jobs WHERE state IN ('queued', 'waiting', 'needs_login') ORDER BY position")
        return [as_job(row) for row in connection.execute(query).mappings()]

    def _consider(self, connection: Connection, job: Job) -> bool:
        """Whether a worker must be started for `job` now; otherwise its row says why not."""
        if job.spawned is not None and time.time() - job.spawned < SPAWN_SECONDS:
            return False
        verdict = self._judge(connection, job, has_token=self._token() is not None)
        if verdict.state == "failed":
            end_job(connection, job.id, "failed", error=verdict.error)
        elif verdict.state == "start":
            connection.execute(
                text("UPDATE jobs SET spawned = :now WHERE id = :id"), {"id": job.id, "now": time.time()}
            )
        elif (verdict.state, verdict.note) != (job.state, job.note):
            values = {"id": job.id, "state": verdict.state, "note": verdict.note}
            connection.execute(text("UPDATE jobs SET state = :state, note = :note WHERE id = :id"), values)
        return verdict.state == "start"

    def _judge(self, connection: Connection, job: Job, *, has_token: bool) -> _Verdict:
        for other in job.after:
            query = text("SELECT state, title FROM jobs WHERE id = :id")
            state, title = connection.execute(query, {"id": other}).one()
            if state in ("failed", "lost", "stopped"):
                error = StudioError("job.needs_other", other=title, other_job=str(other))
                return _Verdict("failed", error=error)
            if state != "done":
                return _Verdict("waiting", note=title)
        if job.needs_token and not has_token:
            return _Verdict("needs_login")
        holder = self._ahead(connection, job)
        return _Verdict("start") if holder is None else _Verdict("waiting", note=holder)

    def _ahead(self, connection: Connection, job: Job) -> str | None:
        """The title of what this job waits for in its lane, or None."""
        if job.lane == "light":
            count = connection.execute(
                text(
                    "SELECT COUNT(*) FROM jobs WHERE lane = 'light' AND id != :id AND (state IN ('running',"
                    " 'stopping') OR (state IN ('queued', 'waiting') AND spawned > :recent))"
                ),
                {"id": job.id, "recent": time.time() - SPAWN_SECONDS},
            ).scalar_one()
            return None if count < LIGHT_AT_ONCE else ""
        lease: Lease | None = read_lease(connection, self._runner.alive)
        if lease is not None:
            return lease.title
        other = connection.execute(
            text(
                "SELECT title FROM jobs WHERE lane = 'device' AND id != :id AND state IN ('queued', 'waiting')"
                " AND spawned > :recent AND position < :position"
            ),
            {"id": job.id, "recent": time.time() - SPAWN_SECONDS, "position": job.position},
        ).scalar()
        return None if other is None else str(other)
