"""The folders of a run's evaluations, which go when the run goes; those of its base stay."""

from __future__ import annotations

import sys
from pathlib import Path

from studio import workspace
from studio.auth import owner_only
from studio.errors import StudioError
from studio.evaluation import results
from studio.models.reference import parse_reference
from studio.services.studio import Studio


@owner_only
def of_run(studio: Studio, run: str) -> list[Path]:
    """Those with figures of the run, a stage or a checkpoint, and those that an evaluation of it began without any."""
    home = studio.settings.evaluations
    jobs = studio.jobs.listing(kind="evaluate", limit=sys.maxsize)
    begun = {str(job.arguments.get("id")) for job in jobs if job.run == run}
    return sorted(path for path in home.iterdir() if path.is_dir() and (path.name in begun or _tells_of(path, run)))


@owner_only
def remove(studio: Studio, folders: list[Path]) -> None:
    """Remove what `of_run` found.

    Raises:
        StudioError: ``workspace.not_writable``.
    """
    for folder in folders:
        if folder.is_dir():
            workspace.remove(folder)


def _tells_of(folder: Path, run: str) -> bool:
    try:
        found = results.read(folder)
        parsed = None if found is None else parse_reference(found.order.model)
    except StudioError:  # whose it was cannot be told any more
        return False
    return parsed is not None and parsed.scheme == "run" and parsed.name == run
