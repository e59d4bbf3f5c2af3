"""Jobs of one kind as lines above what they made: those that run or wait, and what went wrong lately."""

from __future__ import annotations

from studio.errors import StudioError
from studio.i18n import explain
from studio.jobs.store import ACTIVE, PENDING, Job
from studio.services import jobs
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.parts import Markup

JOBS_SHOWN = 3


def job_lines(locale: str, studio: Studio, kind: str) -> Markup:
    """Jobs of a kind that run, wait or went wrong lately."""
    return parts.join([_job(locale, job) for job in studio.jobs.listing(kind=kind, limit=JOBS_SHOWN)])


def _job(locale: str, job: Job) -> Markup:
    if job.state in (*PENDING, *ACTIVE):
        text = f"{job.title}: {jobs.message(locale, job)}"
        return parts.progress_bar(job.progress, text, locale=locale)
    if job.error is not None and job.state in ("failed", "lost"):
        return parts.banner(
            job.title, explain(locale, StudioError(job.error["code"], **job.error["details"])), tone="bad"
        )
    return Markup("")
