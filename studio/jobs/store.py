"""Jobs as rows: what was asked, where it stands, how it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import Connection, RowMapping, bindparam, text

from studio import memory
from studio.errors import StudioError
from studio.jobs.clock import steady
from studio.jobs.database import Database
from studio.jobs.diary import note_run
from studio.jobs.process import ProcessIdentity

State = Literal["queued", "waiting", "needs_login", "running", "stopping", "stopped", "done", "failed", "lost"]
Lane = Literal["device", "light"]
ENDED: tuple[State, ...] = ("stopped", "done", "failed", "lost")
ACTIVE: tuple[State, ...] = ("running", "stopping")
PENDING: tuple[State, ...] = ("queued", "waiting", "needs_login")

LONGEST = 90 * 24 * 3600.0
"""A time left beyond this comes from a job that has hardly begun, and is not told."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Times are Unix seconds, `heartbeat` by the worker's `steady` clock; `progress` runs from 0 to 1;
    `attempts` counts starts; `error` is ``{"code", "details"}``."""

    id: int
    kind: str
    title: str
    arguments: dict[str, Any]
    lane: Lane
    run: str | None
    after: tuple[int, ...]
    needs_token: bool
    state: State
    position: int
    stop_requested: bool
    created: float
    spawned: float | None
    started: float | None
    finished: float | None
    heartbeat: float | None
    process: ProcessIdentity | None
    attempts: int
    progress: float
    eta_seconds: float | None
    note: str | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is asked for; `after` names the jobs that must be done first."""

    kind: str
    title: str
    arguments: dict[str, Any]
    lane: Lane = "light"
    run: str | None = None
    after: tuple[int, ...] = ()
    needs_token: bool = False


class JobStore:
    """Reads and writes rows of jobs; who may run what is the queue's business."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add(self, new: NewJob) -> int:
        """Put a job at the end of the queue and return its id."""
        with self.database.writing() as connection:
            return insert_job(connection, new)

    def get(self, job: int) -> Job:
        """One job.

        Raises:
            StudioError: ``job.unknown``.
        """
        with self.database.reading() as connection:
            row = connection.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": job}).mappings().first()
        if row is None:
            raise StudioError("job.unknown", job=str(job))
        return as_job(row)

    def listing(self, *, states: Sequence[str] | None = None, kind: str | None = None, limit: int = 200) -> list[Job]:
        """The newest jobs first."""
        wanted = list(states) if states else []
        clause = f"state IN ({', '.join(f':s{i}' for i in range(len(wanted)))})" if wanted else "1"
        values: dict[str, Any] = {f"s{i}": state for i, state in enumerate(wanted)} | {"kind": kind, "limit": limit}
        query = f"SELECT * FROM jobs WHERE {clause} AND (:kind IS NULL OR kind = :kind) ORDER BY id DESC LIMIT :limit"
        with self.database.reading() as connection:
            return [as_job(row) for row in connection.execute(text(query), values).mappings()]

    def of_run(self, run: str) -> Job | None:
        """The newest job of a run."""
        query = text("SELECT * FROM jobs WHERE run = :run AND kind = 'train' ORDER BY id DESC LIMIT 1")
        with self.database.reading() as connection:
            row = connection.execute(query, {"run": run}).mappings().first()
        return None if row is None else as_job(row)

    def pending(self, limit: int) -> list[Job]:
        """The first `limit` jobs of the queue, in their order."""
        query = "SELECT * FROM jobs WHERE state IN ('queued', 'waiting', 'needs_login') ORDER BY position LIMIT :limit"
        with self.database.reading() as connection:
            return [as_job(row) for row in connection.execute(text(query), {"limit": limit}).mappings()]

    def ended(self, limit: int, skip: int = 0) -> list[Job]:
        """Jobs by their end, the last first."""
        # Rows hold results of many kilobytes: only the chosen ones are sorted whole.
        chosen = text("""
            SELECT * FROM jobs WHERE id IN (
                SELECT id FROM jobs WHERE state IN ('stopped', 'done', 'failed', 'lost')
                ORDER BY finished DESC, id DESC LIMIT :limit OFFSET :skip
            ) ORDER BY finished DESC, id DESC""")
        with self.database.reading() as connection:
            return [as_job(row) for row in connection.execute(chosen, {"limit": limit, "skip": skip}).mappings()]

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state; states without one are left out."""
        with self.database.reading() as connection:
            rows = connection.execute(text("SELECT state, COUNT(*) FROM jobs GROUP BY state"))
            return {str(state): int(count) for state, count in rows}

    def unmet(self, jobs: Sequence[Job]) -> dict[int, str]:
        """Titles of the jobs, by id, that `jobs` come after and that are not done."""
        wanted = sorted({other for job in jobs for other in job.after})
        query = text("SELECT id, title FROM jobs WHERE id IN :ids AND state != 'done'").bindparams(
            bindparam("ids", expanding=True)
        )
        with self.database.reading() as connection:
            return {int(row.id): str(row.title) for row in connection.execute(query, {"ids": wanted})}

    def report(self, job: int, fraction: float, note: str) -> None:
        """Keep how far a running job is; the time left follows from the first fraction it told."""
        query = text("""
            UPDATE jobs SET progress = :fraction, note = :note, heartbeat = :now,
                progress_origin = COALESCE(progress_origin, :fraction), progress_since = COALESCE(progress_since, :now)
            WHERE id = :id""")
        values = {"id": job, "fraction": min(max(fraction, 0.0), 1.0), "note": note, "now": steady()}
        with self.database.writing() as connection:
            connection.execute(query, values)

    def beat(self, job: int) -> bool:
        """Say that the job is alive; answers whether somebody asked it to stop."""
        with self.database.writing() as connection:
            values = {"id": job, "now": steady(), "kills": memory.kills()}
            connection.execute(text("UPDATE jobs SET heartbeat = :now, kills = :kills WHERE id = :id"), values)
            row = connection.execute(text("SELECT stop_requested FROM jobs WHERE id = :id"), {"id": job}).first()
        return row is None or bool(row[0])

    def finish(
        self, job: int, state: State, *, result: dict[str, Any] | None = None, error: StudioError | None = None
    ) -> None:
        """Write how a job ended and give back its lease, in one transaction."""
        with self.database.writing() as connection:
            end_job(connection, job, state, result=result, error=error)

    def again(self, job: int, details: Mapping[str, Any]) -> None:
        """Put a running job back where it was in the queue, for another worker; its diary tells `details`."""
        with self.database.writing() as connection:
            note_run(connection, job, "again", details)
            put_back(connection, job)

    def note(self, job: int, kind: str, details: Mapping[str, Any]) -> None:
        """Write into the diary of the run that `job` trains."""
        with self.database.writing() as connection:
            note_run(connection, job, kind, details)


def insert_job(connection: Connection, new: NewJob) -> int:
    """Insert `new` within the caller's transaction; returns the id."""
    query = text("""
        INSERT INTO jobs (kind, title, arguments, lane, run, after, needs_token, state, position, created)
        VALUES (:kind, :title, :arguments, :lane, :run, :after, :needs_token, 'queued',
                (SELECT COALESCE(MAX(position), 0) + 1 FROM jobs), :now) RETURNING id""")
    values = {
        "kind": new.kind,
        "title": new.title,
        "arguments": json.dumps(new.arguments, ensure_ascii=False),
        "lane": new.lane,
        "run": new.run,
        "after": json.dumps(new.after),
        "needs_token": int(new.needs_token),
        "now": time.time(),
    }
    return int(connection.execute(query, values).scalar_one())


def put_back(connection: Connection, job: int) -> None:
    """Let a job that was running wait again, where it stood, within the caller's transaction."""
    query = "UPDATE jobs SET state = 'queued', spawned = NULL, pid = NULL, pid_started = NULL WHERE id = :id"
    connection.execute(text(query), {"id": job})
    connection.execute(text("DELETE FROM leases WHERE holder = :holder"), {"holder": f"job:{job}"})


def end_job(
    connection: Connection,
    job: int,
    state: State,
    *,
    result: dict[str, Any] | None = None,
    error: StudioError | None = None,
) -> None:
    """Write how a job ended within the caller's transaction."""
    failure = None if error is None else {"code": error.code, "details": error.details}
    values = {
        "id": job,
        "state": state,
        "now": time.time(),
        "result": None if result is None else json.dumps(result, ensure_ascii=False, default=str),
        "error": None if failure is None else json.dumps(failure, ensure_ascii=False, default=str),
    }
    connection.execute(
        text("""
        UPDATE jobs SET state = :state, finished = :now, result = :result, error = :error, stop_requested = 0,
            progress = CASE WHEN :state = 'done' THEN 1 ELSE progress END
        WHERE id = :id"""),
        values,
    )
    connection.execute(text("DELETE FROM leases WHERE holder = :holder"), {"holder": f"job:{job}"})
    note_run(connection, job, state, failure)


def as_job(row: RowMapping) -> Job:
    """A row of the table as a `Job`."""
    process = None if row["pid"] is None else ProcessIdentity(row["pid"], row["pid_started"])
    return Job(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        arguments=json.loads(row["arguments"]),
        lane=row["lane"],
        run=row["run"],
        after=tuple(json.loads(row["after"])),
        needs_token=bool(row["needs_token"]),
        state=cast(State, row["state"]),
        position=row["position"],
        stop_requested=bool(row["stop_requested"]),
        created=row["created"],
        spawned=row["spawned"],
        started=row["started"],
        finished=row["finished"],
        heartbeat=row["heartbeat"],
        process=process,
        attempts=row["attempts"],
        progress=row["progress"],
        eta_seconds=_eta(row),
        note=row["note"],
        result=None if row["result"] is None else json.loads(row["result"]),
        error=None if row["error"] is None else json.loads(row["error"]),
    )


def _eta(row: RowMapping) -> float | None:
    if row["state"] not in ACTIVE or row["progress_since"] is None:
        return None
    gained = row["progress"] - row["progress_origin"]
    elapsed = row["heartbeat"] - row["progress_since"]  # both by the worker's steady clock
    if gained <= 0 or elapsed < 0:
        return None
    left = float(elapsed * (1 - row["progress"]) / gained)
    return left if left < LONGEST else None
