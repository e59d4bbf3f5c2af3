"""Base models: which are on disk, and fetching more."""

from __future__ import annotations

import json

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.files import fetched_folder, is_fetched
from studio.models.reference import parse_reference
from studio.services.studio import Studio

STARTERS = ("starter:smollm2-135m", "starter:gemma3-270m")


@owner_only
def fetched(studio: Studio) -> list[str]:
    """References of the base models on disk; the starters first, those with new tokens last."""
    found = [reference for reference in STARTERS if is_fetched(reference, studio.settings)]
    for path in sorted(studio.settings.models.glob("*/source.json")):
        reference = json.loads(path.read_text(encoding="utf8"))["reference"]
        if reference not in found and is_fetched(reference, studio.settings):
            found.append(reference)
    expanded = sorted(studio.settings.exports.glob("*/source.json"))
    return [*found, *(f"local:{path.parent}" for path in expanded)]


@owner_only
def choices(studio: Studio) -> list[str]:
    """Base models a user can choose: the starters, fetched or not, then the others on disk."""
    return list(dict.fromkeys([*STARTERS, *fetched(studio)]))


@owner_only
def start_fetch(studio: Studio, reference: str) -> Job:
    """Queue the fetching of a model; one already on its way is not queued twice.

    Raises:
        StudioError: ``model.bad_reference``, ``model.no_such_starter`` or ``model.not_fetchable``.
    """
    parsed = parse_reference(reference)
    if parsed.scheme not in ("starter", "hub"):
        raise StudioError("model.not_fetchable", model=reference)
    fetched_folder(parsed, studio.settings)  # knows the starters
    for job in studio.jobs.listing(kind="fetch"):
        if job.state not in ENDED and job.arguments["model"] == str(parsed):
            return job
    job_id = studio.jobs.add(NewJob("fetch", str(parsed), {"model": str(parsed)}))
    studio.queue.advance()
    return studio.jobs.get(job_id)
