"""Adapters: a run packed for plain `peft` and `transformers`, beside a base that everybody can fetch."""

from __future__ import annotations

from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.jobs.store import Job, NewJob
from studio.models.files import locate, read_config
from studio.models.foreign_code import is_needed
from studio.models.reference import parse_reference
from studio.services.exports import check_new_folder
from studio.services.studio import Studio


@owner_only
def start_adapter(studio: Studio, run: str, out: Path | None = None, *, after: tuple[int, ...] = ()) -> Job:
    """Queue the packing of a run (a ``run:`` reference) into a folder, ``exports/RUN-adapter`` by default.

    Args:
        studio: The studio.
        run: What to pack: a run, a finished stage or a checkpoint of it.
        out: New folder.
        after: Jobs that must end well before; with them nothing of the run need exist yet.

    Raises:
        StudioError: ``publish.nothing_to_pack``, ``publish.adapter_foreign_code`` for a base that plain transformers
            cannot open, ``publish.out_exists``, ``publish.out_not_writable`` or ``model.*``.
    """
    parsed = parse_reference(run)
    if parsed.scheme != "run":
        raise StudioError("publish.nothing_to_pack", model=run)
    if not after and is_needed(read_config((found := locate(run, studio.settings)).folder)):
        raise StudioError("publish.adapter_foreign_code", base=found.base)
    target = out or studio.settings.exports / f"{parsed.name}-adapter"
    check_new_folder(target)
    arguments = {"run": run, "out": str(target.resolve())}
    job = studio.jobs.add(NewJob("adapter", target.name, arguments, lane="device", run=parsed.name, after=after))
    studio.queue.advance()
    return studio.jobs.get(job)
