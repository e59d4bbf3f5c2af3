"""Models: which are on disk, fetching more, merging a run and what has been merged."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.files import fetched_folder, is_fetched, locate, read_config
from studio.models.foreign_code import is_needed
from studio.models.reference import parse_reference
from studio.services.studio import Studio

NAME = re.compile(r"[\w][\w.-]{0,63}")
STARTERS = ("starter:smollm2-135m", "starter:gemma3-270m")


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged model on disk and what was checked of it."""

    name: str
    folder: Path
    facts: dict[str, Any]


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


@owner_only
def start_merge(studio: Studio, run: str, out: Path | None = None, *, after: tuple[int, ...] = ()) -> Job:
    """Queue the merge of a run (a ``run:`` reference) into a folder, ``exports/RUN`` by default.

    Raises:
        StudioError: ``publish.nothing_to_merge``, ``publish.foreign_code`` for a base that plain transformers cannot
            open, ``publish.out_exists``, ``publish.out_not_writable`` or ``model.*``.
    """
    parsed = parse_reference(run)
    if parsed.scheme != "run":
        raise StudioError("publish.nothing_to_merge", model=run)
    if not after and is_needed(read_config((found := locate(run, studio.settings)).folder)):
        raise StudioError("publish.foreign_code", base=found.base)
    target = out or studio.settings.exports / parsed.name
    _check_out(target)
    arguments = {"run": run, "out": str(target.resolve())}
    job = studio.jobs.add(NewJob("merge", target.name, arguments, lane="device", run=parsed.name, after=after))
    studio.queue.advance()
    return studio.jobs.get(job)


def _check_out(out: Path) -> None:
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StudioError("publish.out_exists", out=str(out))
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise StudioError("publish.out_not_writable", out=str(out), reason=error.strerror or str(error)) from error


@owner_only
def export_folder(studio: Studio, name: str) -> Path:
    """The folder below the exports for a name typed by a user.

    Raises:
        StudioError: ``publish.bad_name`` for one that would lead elsewhere.
    """
    cleaned = name.strip()
    if not NAME.fullmatch(cleaned):
        raise StudioError("publish.bad_name", name=cleaned)
    return studio.settings.exports / cleaned


@owner_only
def merged(studio: Studio) -> list[Merged]:
    """Merged models, newest first, with the figures of the job that made them."""
    found = []
    for job in studio.jobs.listing(states=("done",), kind="merge"):
        folder = Path(job.arguments["out"])
        if job.result is not None and (folder / "config.json").exists():
            found.append(Merged(folder.name, folder, job.result))
    return found
