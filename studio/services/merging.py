"""Merges: making one of a run, checking it again, and what one towards the base would keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.files import locate, read_config
from studio.models.foreign_code import is_needed
from studio.models.reference import ModelReference, parse_reference
from studio.publish.companions import Dtype
from studio.publish.record import check_merged
from studio.publish.strength import check_towards
from studio.services.exports import check_new_folder
from studio.services.studio import Studio


@dataclass(frozen=True, slots=True)
class Point:
    """Bits per byte of held-out stories, Persian and English, of a run taken `towards_base` of the way back."""

    towards_base: float
    fa: float
    en: float


@owner_only
def start_merge(
    studio: Studio,
    run: str,
    out: Path | None = None,
    *,
    dtype: Dtype = "bfloat16",
    towards_base: float = 0.0,
    after: tuple[int, ...] = (),
) -> Job:
    """Queue the merge of a run (a ``run:`` reference) into a folder, ``exports/RUN`` by default.

    Args:
        studio: The studio.
        run: ``run:ID[/stage[@step]]``.
        out: New folder.
        dtype: Of the new weights.
        towards_base: Share of the way back to the base, from 0 to less than 1; see :func:`curve`.
        after: Jobs to wait for.

    Raises:
        StudioError: ``publish.nothing_to_merge``, ``publish.towards_out_of_range``, ``publish.foreign_code`` for a
            base that plain transformers cannot open, ``publish.out_exists``, ``publish.out_not_writable`` or
            ``model.*``.
    """
    parsed = _run(run)
    check_towards(towards_base)
    if not after and is_needed(read_config((found := locate(run, studio.settings)).folder)):
        raise StudioError("publish.foreign_code", base=found.base)
    target = out or studio.settings.exports / parsed.name
    check_new_folder(target)
    arguments = {"run": run, "out": str(target.resolve()), "dtype": dtype, "towards_base": towards_base}
    return _queue(studio, NewJob("merge", target.name, arguments, lane="device", run=parsed.name, after=after))


@owner_only
def start_verify(studio: Studio, folder: Path, run: str) -> Job:
    """Queue all checks of a merged folder against the run that it was made of.

    Raises:
        StudioError: ``publish.nothing_to_merge``, ``publish.of_another_run``, ``publish.not_merged``,
            ``publish.record_broken``, ``model.*``.
    """
    parsed = _run(run)
    reference = locate(run, studio.settings).reference
    if not folder.is_dir():
        raise StudioError("model.no_such_folder", folder=str(folder))
    check_merged(folder, reference)
    read_config(folder)
    arguments = {"run": run, "folder": str(folder.resolve())}
    return _queue(studio, NewJob("verify", folder.name, arguments, lane="device", run=parsed.name))


@owner_only
def start_curve(studio: Studio, run: str) -> Job:
    """Queue measuring what merges towards the base would keep; one that is on its way is not queued twice.

    Raises:
        StudioError: ``publish.nothing_to_merge`` or ``model.*``.
    """
    parsed = _run(run)
    locate(run, studio.settings)
    for job in studio.jobs.listing(kind="towards"):
        if job.state not in ENDED and job.arguments["run"] == run:
            return job
    return _queue(studio, NewJob("towards", run, {"run": run}, lane="device", run=parsed.name))


@owner_only
def curve(studio: Studio, run: str) -> tuple[Point, ...] | None:
    """The newest measurement of :func:`start_curve` for `run`, or None."""
    for job in studio.jobs.listing(states=("done",), kind="towards"):
        if job.arguments["run"] == run and job.result is not None:
            return tuple(Point(**point) for point in job.result["points"])
    return None


def _run(reference: str) -> ModelReference:
    parsed = parse_reference(reference)
    if parsed.scheme != "run":
        raise StudioError("publish.nothing_to_merge", model=reference)
    return parsed


def _queue(studio: Studio, new: NewJob) -> Job:
    job = studio.jobs.add(new)
    studio.queue.advance()
    return studio.jobs.get(job)
