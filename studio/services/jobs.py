"""What a user can do with jobs: look, put in order, cancel, stop, end and resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from studio.auth import owner_only
from studio.errors import StudioError
from studio.i18n import duration_text, explain, number, say, sentences
from studio.jobs.order import WAYS
from studio.jobs.store import ACTIVE, ENDED, PENDING, Job
from studio.services.studio import Studio


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


@dataclass(frozen=True, slots=True)
class Count:
    """How many jobs there are."""

    waiting: int
    ended: int


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
def under_way(studio: Studio) -> list[Job]:
    """Jobs that run now, the first started first."""
    return sorted(studio.jobs.listing(states=ACTIVE), key=lambda job: (job.started or 0.0, job.id))


@owner_only
def queue(studio: Studio, limit: int) -> list[Job]:
    """The first `limit` jobs that wait, in the order in which their turn comes."""
    return studio.jobs.pending(limit)


@owner_only
def history(studio: Studio, limit: int, page: int = 1) -> list[Job]:
    """Jobs by their end, the last first: the `page`-th so many, from 1."""
    return studio.jobs.ended(limit, max(page - 1, 0) * limit)


@owner_only
def count(studio: Studio) -> Count:
    """How many jobs wait and how many have ended."""
    found = studio.jobs.counts()
    return Count(sum(found.get(state, 0) for state in PENDING), sum(found.get(state, 0) for state in ENDED))


@owner_only
def unmet(studio: Studio, found: Sequence[Job]) -> dict[int, str]:
    """Titles, by id, of the jobs that some of `found` come after and that are not done yet."""
    return studio.jobs.unmet(found)


@owner_only
def move(studio: Studio, job: int, way: str) -> int:
    """Move a waiting job ``up`` or ``down`` by one, or to be ``first`` as far as what it needs allows.

    Returns:
        Its new place in the queue, from 1.

    Raises:
        StudioError: ``job.unknown``, ``job.no_such_way``, ``job.not_waiting``, ``job.must_follow`` or
            ``job.must_precede``.
    """
    if way not in WAYS:
        raise StudioError("job.no_such_way", way=way, ways=", ".join(WAYS))
    place = studio.queue.move(job, way)
    studio.queue.advance()
    return place


@owner_only
def cancel(studio: Studio, job: int) -> Job:
    """Take a waiting job from the queue; what needs it fails and says so.

    Raises:
        StudioError: ``job.unknown`` or ``job.not_waiting``.
    """
    cancelled = studio.queue.cancel(job)
    studio.queue.advance()
    return cancelled


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
    """Wait until `job` ends or needs a login, moving the queue on meanwhile; `tell(job)` hears every look."""
    while True:
        studio.queue.advance()
        found = studio.jobs.get(job)
        tell(found)
        # With a token here its worker is being started; until that claims the job, its row says what it said before.
        if found.state in ENDED or (found.state == "needs_login" and studio.vault.token is None):
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
def rate_text(studio: Studio, locale: str, job: Job) -> str:
    """How fast a running job goes: tokens a second of a training, else how much of it a minute; empty if unknown."""
    if job.state not in ACTIVE:
        return ""
    if job.kind == "train" and job.run is not None:
        row = studio.metrics.latest(job.run)
        if row is not None and row.tokens_per_second:
            return say(locale, "jobs.rate_tokens", value=number(locale, row.tokens_per_second, 0))
    if not job.eta_seconds:
        return ""
    a_minute = 100 * (1 - job.progress) / job.eta_seconds * 60
    percent = say(locale, "progress.percent", percent=number(locale, a_minute, 0 if a_minute >= 10 else 1))
    return say(locale, "jobs.rate_share", percent=percent)


def after_text(locale: str, job: Job, titles: Mapping[int, str]) -> str:
    """What a waiting job comes after, of what is still to be done; empty if nothing."""
    named = [
        say(locale, "jobs.quoted", title=_isolated(title)) for other, title in titles.items() if other in job.after
    ]
    return say(locale, "jobs.after", titles=say(locale, "jobs.comma").join(named)) if named else ""


def ended_text(locale: str, job: Job) -> str:
    """One sentence on how a job ended, for somebody who looks elsewhere."""
    return say(locale, f"jobs.ended.{job.state}", kind=say(locale, f"kinds.{job.kind}"), title=_isolated(job.title))


def _isolated(title: str) -> str:
    # Its letters do not decide the direction of the sentence around it.
    return f"\u2068{title}\u2069"
