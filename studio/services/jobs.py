"""What a user can do with jobs: look, stop, end, resume, and read their logs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.i18n import duration_text, explain, say, sentences
from studio.jobs.local import log_path
from studio.jobs.store import ACTIVE, ENDED, PENDING, Job
from studio.services.studio import Studio

TAIL_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as a page or command line shows it, in one language."""

    id: int
    kind: str
    title: str
    state: str
    state_text: str
    progress: float
    eta_seconds: float | None
    message: str
    run: str | None


@owner_only
def advance(studio: Studio) -> None:
    """Look at the queue and move it on."""
    studio.queue.advance()


@owner_only
def listing(studio: Studio, *, active_only: bool = False, limit: int = 50) -> list[Job]:
    """Jobs, newest first."""
    states = (*PENDING, *ACTIVE) if active_only else None
    return studio.jobs.listing(states=states, limit=limit)


@owner_only
def show(studio: Studio, job: int) -> Job:
    """One job.

    Raises:
        StudioError: ``job.unknown``.
    """
    return studio.jobs.get(job)


@owner_only
def stop(studio: Studio, job: int) -> Job:
    """Ask a job to stop; a training saves a checkpoint first."""
    return studio.queue.stop(job)


@owner_only
def end_now(studio: Studio, job: int) -> Job:
    """End a job that did not stop when asked."""
    ended = studio.queue.kill(job)
    studio.queue.advance()
    return ended


@owner_only
def resume(studio: Studio, job: int) -> Job:
    """Queue an ended job again; a training goes on from its newest whole checkpoint."""
    resumed = studio.queue.resume(job)
    studio.queue.advance()
    return resumed


@owner_only
def wait(studio: Studio, job: int, tell: Callable[[Job], None] = lambda _: None, *, seconds: float = 0.3) -> Job:
    """Wait until `job` ends, moving the queue on meanwhile; `tell(job)` hears every look."""
    while True:
        studio.queue.advance()
        found = studio.jobs.get(job)
        tell(found)
        if found.state in ENDED or found.state == "needs_login":
            return found
        time.sleep(seconds)


def view(locale: str, job: Job) -> JobView:
    """`job` in the words of `locale`."""
    return JobView(
        id=job.id,
        kind=job.kind,
        title=job.title,
        state=job.state,
        state_text=say(locale, f"states.{job.state}"),
        progress=job.progress,
        eta_seconds=job.eta_seconds,
        message=message(locale, job),
        run=job.run,
    )


def message(locale: str, job: Job) -> str:
    """One sentence on where `job` stands."""
    if job.error is not None and job.state in ("failed", "lost"):
        return explain(locale, StudioError(job.error["code"], **job.error["details"]))
    if job.state == "waiting":
        return (
            say(locale, "jobs.waits_for", title=title_text(locale, job.note))
            if job.note
            else say(locale, "jobs.waits")
        )
    if job.state in ACTIVE and job.note:
        if job.eta_seconds is None:
            return note(locale, job)
        return say(locale, "jobs.note_eta", note=note(locale, job), eta=duration_text(locale, job.eta_seconds))
    return say(locale, f"states.{job.state}")


def title_text(locale: str, title: str) -> str:
    """What holds the device or is waited for, in words: a job's name as it is, the chat in the page's language."""
    return say(locale, title) if title in sentences(locale) else title


def note(locale: str, job: Job) -> str:
    """What a running job is doing, in a few words."""
    if job.note and job.note in sentences(locale):
        return say(locale, job.note)
    return job.note or say(locale, f"states.{job.state}")


@owner_only
def log_tail(studio: Studio, job: Job, lines: int = 40) -> list[str]:
    """The last lines of a job's log; progress bars that overwrite themselves show only their last state."""
    path = log_path(studio.settings, job)
    if not path.exists():
        return []
    return tail(path, lines)


def tail(path: Path, lines: int) -> list[str]:
    """The last `lines` of a text file, reading no more than `TAIL_BYTES`."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        text = file.read().decode("utf8", errors="replace")
    return [line.rsplit("\r", 1)[-1] for line in text.rstrip().split("\n")][-lines:]
