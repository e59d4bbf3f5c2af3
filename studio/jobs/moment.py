"""One look at the queue: everything that decides who may start, read at once and judged without asking again.

With 500 jobs waiting, three questions to the database for each of them held its write lock for most of a second.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text

from studio.errors import StudioError
from studio.jobs.lease import read_lease
from studio.jobs.process import ProcessIdentity

SPAWN_SECONDS = 60.0
"""A worker that was started but has not claimed its job within this time is taken for dead."""

AGAIN_SECONDS = 15.0
"""One that is known to have died before its claim is replaced only after this: it might die every time."""

LIGHT_AT_ONCE = 2
"""Downloads and imports that may run beside each other; more would only share the same disk and network."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a pending job now; `note` is the title of what a waiting one waits for, empty for its turn."""

    state: str  # start | waiting | failed | needs_login
    note: str | None = None
    error: StudioError | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending job, as far as it is judged."""

    id: int
    title: str
    lane: str
    after: tuple[int, ...]
    needs_token: bool
    state: str
    note: str | None
    position: int
    starting: bool


@dataclass(slots=True)
class Moment:
    """The queue as it stands; verdicts change it, so that a later job sees what an earlier one got.

    Args:
        pending: In their order.
        states: State and title of every job that a pending one comes after.
        light: Ids of light jobs that run or are being started.
        starting: Position and title of device jobs that are being started.
        holder: The title of who holds the device.
    """

    pending: list[Pending]
    states: dict[int, tuple[str, str]]
    light: set[int]
    starting: dict[int, tuple[int, str]]
    holder: str | None

    def steps(self, *, has_token: bool) -> list[tuple[Pending, Verdict]]:
        """What has to be written down or started now, in the order of the queue."""
        found = []
        for job in self.pending:
            if job.starting:
                continue
            verdict = self.judge(job, has_token=has_token)
            if verdict.state == "failed":
                self.states[job.id] = ("failed", job.title)
            elif verdict.state == "start":
                self._count(job)
            if verdict.state in ("failed", "start") or (verdict.state, verdict.note) != (job.state, job.note):
                found.append((job, verdict))
        return found

    def judge(self, job: Pending, *, has_token: bool) -> Verdict:
        """Whether `job` may start now; otherwise why not."""
        for other in job.after:
            state, title = self.states.get(other, ("lost", str(other)))
            if state in ("failed", "lost", "stopped"):
                error = StudioError("job.needs_other", other=title, other_job=str(other))
                return Verdict("failed", error=error)
            if state != "done":
                return Verdict("waiting", note=title)
        if job.needs_token and not has_token:
            return Verdict("needs_login")
        ahead = self._ahead(job)
        return Verdict("start") if ahead is None else Verdict("waiting", note=ahead)

    def _ahead(self, job: Pending) -> str | None:
        """The title of what this job waits for in its lane, or None."""
        if job.lane == "light":
            return None if len(self.light - {job.id}) < LIGHT_AT_ONCE else ""
        if self.holder is not None:
            return self.holder
        ahead = [each for other, each in self.starting.items() if other != job.id and each[0] < job.position]
        return min(ahead)[1] if ahead else None

    def _count(self, job: Pending) -> None:
        if job.state not in ("queued", "waiting"):
            return
        if job.lane == "light":
            self.light.add(job.id)
        else:
            self.starting[job.id] = (job.position, job.title)


def read_moment(connection: Connection, alive: Callable[[ProcessIdentity], bool]) -> Moment:
    """The queue as it stands in the caller's transaction."""
    pending = read_pending(connection, alive)
    if not pending:
        return Moment([], {}, set(), {}, None)
    running = text("SELECT id FROM jobs WHERE lane = 'light' AND state IN ('running', 'stopping')")
    light = set(connection.execute(running).scalars())
    begun = [job for job in pending if job.starting and job.state in ("queued", "waiting")]
    lease = read_lease(connection, alive)
    return Moment(
        pending=pending,
        states=_states(connection, {other for job in pending for other in job.after}),
        light=light | {job.id for job in begun if job.lane == "light"},
        starting={job.id: (job.position, job.title) for job in begun if job.lane == "device"},
        holder=None if lease is None else lease.title,
    )


def read_pending(connection: Connection, alive: Callable[[ProcessIdentity], bool]) -> list[Pending]:
    """Pending jobs in their order."""
    query = text("""
        SELECT id, title, lane, after, needs_token, state, note, position, spawned, pid, pid_started FROM jobs
        WHERE state IN ('queued', 'waiting', 'needs_login') ORDER BY position, id""")
    now = time.time()
    return [
        Pending(
            id=row.id,
            title=row.title,
            lane=row.lane,
            after=tuple(json.loads(row.after)),
            needs_token=bool(row.needs_token),
            state=row.state,
            note=row.note,
            position=row.position,
            starting=row.spawned is not None and _starting(row, now, alive),
        )
        for row in connection.execute(query)
    ]


def _starting(row: Row[Any], now: float, alive: Callable[[ProcessIdentity], bool]) -> bool:
    # Either way: a clock set back by hours would otherwise hold the job for as long.
    since: float = abs(now - row.spawned)
    if row.pid is None or since < AGAIN_SECONDS or alive(ProcessIdentity(row.pid, row.pid_started)):
        return since < SPAWN_SECONDS
    return False


def _states(connection: Connection, jobs: set[int]) -> dict[int, tuple[str, str]]:
    if not jobs:
        return {}
    query = text("SELECT id, state, title FROM jobs WHERE id IN :jobs").bindparams(bindparam("jobs", expanding=True))
    return {row.id: (row.state, row.title) for row in connection.execute(query, {"jobs": sorted(jobs)})}
