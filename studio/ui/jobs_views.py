"""What the jobs tab shows: the queue, one job with its log, what has ended, and what notices tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from studio.dates import date_text
from studio.errors import StudioError
from studio.i18n import say
from studio.jobs.store import ACTIVE, ENDED, PENDING, Job
from studio.services import jobs, logs
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.parts import Markup

SHOWN = 30
"""Waiting jobs in the list; the others are counted, and can be chosen by number."""
PAGE = 15
NOTICED = 20
LOG_LINES = 20


def queue_view(locale: str, studio: Studio) -> Markup:
    """What runs, and what waits in its order."""
    running, waiting, count = jobs.under_way(studio), jobs.queue(studio, SHOWN), jobs.count(studio)
    if not running and not waiting:
        return parts.card(say(locale, "jobs.queue"), parts.paragraph(say(locale, "jobs.queue_empty"), soft=True))
    needed = jobs.unmet(studio, waiting)
    rows = [[*_named(locale, job), _going(locale, studio, job)] for job in running]
    rows += [[*_named(locale, job), _waiting(locale, job, needed)] for job in waiting]
    shown = [_table(locale, rows, "about")]
    if count.waiting > len(waiting):
        shown.append(parts.paragraph(say(locale, "jobs.more", count=count.waiting - len(waiting)), soft=True))
    note = say(locale, "jobs.queue_note", running=len(running), waiting=count.waiting)
    return parts.card(say(locale, "jobs.queue"), parts.join(shown), note=note)


def history_view(locale: str, studio: Studio, page: str) -> Markup:
    """What has ended, the last first; `page` counts from 1, and one beyond the last shows the last."""
    pages = max(-(-jobs.count(studio).ended // PAGE), 1)
    at = min(max(int(page), 1), pages) if page.isdecimal() else 1
    found = jobs.history(studio, PAGE, at)
    if not found:
        return parts.card(say(locale, "jobs.history"), parts.paragraph(say(locale, "jobs.history_empty"), soft=True))
    rows = [[*_named(locale, job), jobs.message(locale, job), _when(locale, job)] for job in found]
    note = say(locale, "jobs.page_of", page=at, pages=pages)
    return parts.card(say(locale, "jobs.history"), _table(locale, rows, "about", "finished"), note=note)


def job_view(locale: str, studio: Studio, chosen: str) -> Markup:
    """One job: where it stands, what it comes after, the end of its log and a link to all of it."""
    if not chosen:
        return Markup("")
    job = jobs.show(studio, job_number(chosen))
    told: list[object] = [parts.status_pill(locale, job.state)]
    if job.state in ACTIVE:
        told.append(_going(locale, studio, job))
    elif job.state in PENDING:
        told.append(_waiting(locale, job, jobs.unmet(studio, [job])))
    elif job.state in ("failed", "lost"):
        told.append(parts.banner(say(locale, f"states.{job.state}"), jobs.message(locale, job), tone="bad"))
    lines = logs.tail(studio, job, LOG_LINES)
    actions: object = ""
    if lines:
        told.append(parts.log_view(lines))
        words = parts.escape(say(locale, "jobs.download"))
        actions = Markup(f'<a class="button secondary" href="../log/{job.id}" download>{words}</a>')
    elif job.attempts:
        told.append(parts.paragraph(say(locale, "jobs.log_empty"), soft=True))
    title = parts.join([say(locale, f"kinds.{job.kind}"), " · ", parts.code(job.title)])
    return parts.card(title, parts.join(told), note=parts.ltr(job.id), actions=actions)


def ended_view(locale: str, studio: Studio) -> Markup:
    """The last endings, each under a key of its own: ``studio.js`` gives notice of those that are new to it."""
    return parts.join(
        Markup(f'<p data-end="{job.id}-{job.attempts}">{parts.escape(jobs.ended_text(locale, job))}</p>')
        for job in jobs.history(studio, NOTICED)
    )


def job_number(chosen: str) -> int:
    """The number of a job as a field gives it, in digits of either language.

    Raises:
        StudioError: ``job.unknown`` for what is no number.
    """
    text = chosen.strip()
    if not text.isdecimal() or len(text) > 18:  # ids of SQLite have 19 digits at most
        raise StudioError("job.unknown", job=chosen)
    return int(text)


def choice_label(locale: str, job: Job) -> str:
    """A job in a list to choose from."""
    state = say(locale, f"states.{job.state}")
    return f"{job.id} · {say(locale, f'kinds.{job.kind}')} · {parts.named(job.title)} · {state}"


def possible(job: Job | None) -> dict[str, bool]:
    """What can be done with a job now, by the names of the buttons."""
    state = "" if job is None else job.state
    waits = state in PENDING
    return {
        "up": waits,
        "down": waits,
        "first": waits,
        "cancel": waits,
        "stop": state == "running",
        "end": state == "stopping",  # first it is asked to stop by itself, which saves a checkpoint
        "resume": state in ENDED and state != "done",
    }


def _named(locale: str, job: Job) -> list[object]:
    kind, pill = say(locale, f"kinds.{job.kind}"), parts.status_pill(locale, job.state)
    return [parts.code(job.id), kind, parts.code(job.title), pill]


def _going(locale: str, studio: Studio, job: Job) -> Markup:
    rate = jobs.rate_text(studio, locale, job)
    text = jobs.note(locale, job) + (f" · {rate}" if rate else "")
    return parts.progress_bar(job.progress, text, locale=locale, eta_seconds=job.eta_seconds)


def _waiting(locale: str, job: Job, needed: dict[int, str]) -> Markup:
    told = [jobs.message(locale, job), jobs.after_text(locale, job, needed)]
    return parts.join(parts.paragraph(each, soft=True) for each in told if each)


def _when(locale: str, job: Job) -> object:
    if job.finished is None:
        return ""
    at = datetime.fromtimestamp(job.finished, tz=UTC).astimezone()
    hour = f"{at:%H:%M}".translate(_PERSIAN) if locale == "fa" else f"{at:%H:%M}"
    return Markup(f"<bdi>{parts.escape(date_text(locale, at.isoformat()))}</bdi> <bdi>{hour}</bdi>")


def _table(locale: str, rows: Sequence[Sequence[object]], *last: str) -> Markup:
    headers = [say(locale, f"jobs.column.{name}") for name in ("id", "kind", "title", "state", *last)]
    return parts.table(rows, headers, rtl=locale == "fa")


_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
