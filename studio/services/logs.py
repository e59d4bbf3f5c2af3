"""Logs of jobs: the last lines, and the whole file, both without tokens and keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs import log
from studio.jobs.local import log_path
from studio.jobs.store import Job
from studio.services.studio import Studio

LINES = 40


@owner_only
def tail(studio: Studio, job: Job, lines: int = LINES) -> list[str]:
    """The last lines of a job's log; progress bars that overwrite themselves show only their last state."""
    return tail_of(studio, log_path(studio.settings, job), lines)


@owner_only
def tail_of(studio: Studio, path: Path, lines: int) -> list[str]:
    """The last lines of a log of the workspace; none if it is not there."""
    return log.tail(path, lines, _secrets(studio)) if path.is_file() else []


@owner_only
def whole(studio: Studio, job: int) -> Iterator[bytes]:
    """The whole log of a job, piece by piece.

    Raises:
        StudioError: ``job.unknown``, or ``job.no_log`` if it has written none.
    """
    path = log_path(studio.settings, studio.jobs.get(job))
    # Of the job's row alone; a link that leads out of the workspace is not followed.
    if not path.is_file() or not path.resolve().is_relative_to(studio.settings.workspace.resolve()):
        raise StudioError("job.no_log", job=str(job))
    return log.whole(path, _secrets(studio))


def _secrets(studio: Studio) -> list[str]:
    return [] if studio.vault.token is None else [studio.vault.token]
