"""The queue: who is next, who waits for whom, and what became of workers that died.

Nothing here runs by itself. Whoever looks (the app's poll, a worker that ends, a command line) moves the queue on, so
it advances with the app down. A worker claims its job in one write transaction: two can never run the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Connection, text

from studio import memory
from studio.errors import StudioError
from studio.jobs import order
from studio.jobs.burial import KILLED, bury
from studio.jobs.clock import steady
from studio.jobs.database import Database
from studio.jobs.diary import note_run
from studio.jobs.lease import write_lease
from studio.jobs.moment import Pending, Verdict, read_moment
from studio.jobs.order import Way
from studio.jobs.process import ProcessIdentity
from studio.jobs.runner import Runner
from studio.jobs.store import ACTIVE, ENDED, PENDING, Job, JobStore, as_job, end_job


class Queue:
    """Moves jobs from queued to running, and notices the dead."""

    def __init__(self, store: JobStore, runner: Runner, token: Callable[[], str | None] = lambda: None) -> None:
        self._store = store
        self._database: Database = store.database
        self._runner = runner
        self._token = token

    def advance(self) -> None:
        """Mark dead jobs lost, then start workers for all that can run now."""
        has_token = self._token() is not None
        with self._database.reading() as connection:
            # A poll that finds nothing to do must cost a look, not the one write lock.
            moment = read_moment(connection, self._runner.alive)
            if not self._dead(connection) and not moment.steps(has_token=has_token):
                return
        with self._database.writing() as connection:
            for job in self._dead(connection):
                bury(connection, job)
            steps = read_moment(connection, self._runner.alive).steps(has_token=has_token)
            to_start = [self._take(connection, job, verdict) for job, verdict in steps]
        for each in to_start:
            if each is not None:
                self._start(each)

    def _start(self, job: Job) -> None:
        worker = self._runner.start(job, self._token() if job.needs_token else None)
        if worker is None:
            return
        values = {"id": job.id, "pid": worker.pid, "started": worker.started}
        with self._database.writing() as connection:  # so that its death is noticed before it has claimed the job
            query = "UPDATE jobs SET pid = :pid, pid_started = :started WHERE id = :id AND spawned IS NOT NULL"
            connection.execute(text(f"{query} AND state IN ('queued', 'waiting', 'needs_login')"), values)

    def claim(self, job: int, process: ProcessIdentity) -> Job | None:
        """Make `process` the worker of `job`, with the device if it needs that; None if somebody else was first."""
        with self._database.writing() as connection:
            row = connection.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": job}).mappings().first()
            if row is None or row["state"] not in PENDING:
                return None
            moment = read_moment(connection, self._runner.alive)
            wanted = next(each for each in moment.pending if each.id == job)
            if moment.judge(wanted, has_token=True).state != "start":
                connection.execute(text("UPDATE jobs SET spawned = NULL WHERE id = :id"), {"id": job})
                return None
            connection.execute(
                text("""
                UPDATE jobs SET state = 'running', pid = :pid, pid_started = :started, started = :now,
                    heartbeat = :beat, kills = :kills, finished = NULL, attempts = attempts + 1,
                    progress_origin = NULL, progress_since = NULL, note = NULL, result = NULL, error = NULL
                WHERE id = :id"""),
                {
                    "id": job,
                    "pid": process.pid,
                    "started": process.started,
                    "now": time.time(),
                    "beat": steady(),
                    "kills": memory.kills(),
                },
            )
            note_run(connection, job, "started" if row["attempts"] == 0 else "resumed")
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
            with self._database.writing() as connection:
                state = connection.execute(text("SELECT state FROM jobs WHERE id = :id"), {"id": job}).scalar_one()
                if state in ACTIVE:  # otherwise it ended by itself meanwhile, and has said how
                    end_job(connection, job, "stopped")
        return self._store.get(job)

    def cancel(self, job: int) -> Job:
        """Take a pending job from the queue.

        Raises:
            StudioError: ``job.unknown``, or ``job.not_waiting`` if it has begun or ended.
        """
        self._store.get(job)
        with self._database.writing() as connection:
            state = connection.execute(text("SELECT state FROM jobs WHERE id = :id"), {"id": job}).scalar_one()
            if state not in PENDING:
                raise StudioError("job.not_waiting", job=str(job))
            end_job(connection, job, "stopped")
        return self._store.get(job)

    def move(self, job: int, way: Way) -> int:
        """Move a waiting job up or down by one or to the front; returns its place in the queue, from 1.

        Raises:
            StudioError: ``job.unknown``, or as `studio.jobs.order.move`.
        """
        self._store.get(job)
        with self._database.writing() as connection:
            return order.move(connection, job, way, self._runner.alive)

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
                text(f"""
                UPDATE jobs SET state = 'queued', stop_requested = 0, spawned = NULL, finished = NULL, error = NULL,
                    pid = NULL, pid_started = NULL, arguments = json_remove(arguments, '$.{KILLED}'),
                    position = (SELECT MAX(position) + 1 FROM jobs)
                WHERE id = :id AND state IN ('stopped', 'failed', 'lost')"""),
                {"id": job},
            )
        return self._store.get(job)

    def device_is_awaited(self) -> bool:
        """Whether a job waits for the device, so that whoever holds it idly may leave."""
        query = text("SELECT 1 FROM jobs WHERE lane = 'device' AND state IN ('queued', 'waiting') LIMIT 1")
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def _dead(self, connection: Connection) -> list[Job]:
        """Running jobs whose worker has gone."""
        rows = connection.execute(text("SELECT * FROM jobs WHERE state IN ('running', 'stopping')")).mappings().all()
        return [job for job in map(as_job, rows) if job.process is not None and not self._runner.alive(job.process)]

    def _take(self, connection: Connection, job: Pending, verdict: Verdict) -> Job | None:
        """Write a verdict down; the job itself if a worker must be started for it."""
        if verdict.state == "failed":
            end_job(connection, job.id, "failed", error=verdict.error)
            return None
        if verdict.state == "start":
            values = {"id": job.id, "now": time.time()}
            query = text("UPDATE jobs SET spawned = :now, pid = NULL WHERE id = :id RETURNING *")
            return as_job(connection.execute(query, values).mappings().one())
        said = {"id": job.id, "state": verdict.state, "note": verdict.note}
        connection.execute(text("UPDATE jobs SET state = :state, note = :note WHERE id = :id"), said)
        return None
