"""The checkpoints of a run as a list, and the space that those give back which nothing needs any more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from studio import workspace
from studio.auth import owner_only
from studio.errors import StudioError
from studio.models.reference import ModelReference, parse_reference
from studio.services import runs
from studio.services.studio import Studio
from studio.training.checkpoints import WEIGHTS, checkpoints, stage_folder, step_of

ORDER = "order.json"
OPTIMIZER = "optimizer.pt"
_HALF_WRITTEN = "checkpoints/.incoming-*"

Reason = Literal["checkpoint", "optimizer", "half_written"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state of the adapter on disk: a checkpoint, or what a finished stage ended with (`end`).

    Attributes:
        reference: What to chat with or merge, as ``run:ID/stage@step``.
        stage: Place of its stage in the recipe, from 0; `name` is the stage's.
        step: Steps of that stage; None where the end of a stage no longer tells it.
        end: Whether it is what the finished stage ended with.
        folder: Where it lies; the end of a stage shares its folder with the checkpoints below it.
        bytes: On disk, without those checkpoints.
        time: When it was written, in Unix seconds.
        bits: Held-out bits per byte at that step by language; what was not measured is absent.
        best: Whether its Persian bits are the lowest of the run.
        newest: Whether nothing in the run is later.
    """

    reference: str
    stage: int
    name: str
    step: int | None
    end: bool
    folder: Path
    bytes: int
    time: float
    bits: dict[str, float]
    best: bool = False
    newest: bool = False


@dataclass(frozen=True, slots=True)
class Spare:
    """Something that may go: a folder or file, its bytes, why, and where it belongs."""

    path: Path
    bytes: int
    reason: Reason
    name: str
    step: int | None


@dataclass(frozen=True, slots=True)
class Room:
    """What `free` would remove of a run."""

    run: str
    spares: tuple[Spare, ...]

    @property
    def bytes(self) -> int:
        """What that gives back."""
        return sum(spare.bytes for spare in self.spares)

    def facts(self) -> dict[str, Any]:
        """The room as the command line tells it."""
        each = [
            {"stage": spare.name, "step": spare.step, "what": spare.reason, "bytes": spare.bytes}
            for spare in self.spares
        ]
        return {"run": self.run, "bytes": self.bytes, "removed": each}


@owner_only
def listing(studio: Studio, run: str | None) -> list[Checkpoint]:
    """All checkpoints of a run and the ends of its finished stages, the newest first.

    Raises:
        StudioError: ``run.unknown`` or ``recipe.*``.
    """
    found = _found(studio, runs.folder_of(studio, run))
    scored = [each for each in found if "fa" in each.bits]
    best = min(scored, key=lambda each: each.bits["fa"], default=None)
    newest = max(found, key=_place, default=None)
    marked = [replace(each, best=each is best, newest=each is newest) for each in found]
    return sorted(marked, key=_place, reverse=True)


@owner_only
def room(studio: Studio, run: str | None) -> Room:
    """What can be removed without anything being missed.

    Of a stage that is finished all checkpoints are spare, for the next stage began with what it ended with; of one
    that is not, those which are neither its newest (a resumed run goes on from there) nor its best. What is shared or
    held by the chat stays; if its stage is finished, only its optimizer's state goes, which is of use to no one.

    Raises:
        StudioError: ``run.unknown``, ``recipe.*``, or ``run.used_by_job`` while a job of the run, or one that reads
            it, waits or runs.
    """
    folder = runs.folder_of(studio, run)
    uses = runs.uses(studio, folder.name)
    if names := [use.name for use in uses if use.kind == "job"]:
        raise StudioError("run.used_by_job", run=folder.name, names="، ".join(names))
    needed = [parse_reference(use.name) for use in uses if use.name.startswith("run:")]
    found = _found(studio, folder)
    spares: list[Spare] = []
    for stage in sorted({each.stage for each in found}):
        mine = [each for each in found if each.stage == stage]
        finished, own = any(each.end for each in mine), [each for each in mine if not each.end]
        kept = set() if finished else _kept(own)
        for each in own:
            if each.folder not in kept:
                spares += _spare(each, needed=any(_meets(each, one) for one in needed), finished=finished)
    spares += [
        Spare(path, _size(path.rglob("*")), "half_written", path.parent.parent.name.partition("-")[2], None)
        for path in sorted(folder.glob(f"stages/*/{_HALF_WRITTEN}"))
    ]
    return Room(folder.name, tuple(spares))


@owner_only
def free(studio: Studio, run: str | None) -> Room:
    """Remove what `room` finds now, and tell it.

    Raises:
        StudioError: As `room`; ``workspace.not_writable``.
    """
    found = room(studio, run)
    for spare in found.spares:
        if spare.path.is_dir():
            workspace.remove(spare.path)
        else:
            spare.path.unlink(missing_ok=True)
    return found


def _found(studio: Studio, folder: Path) -> list[Checkpoint]:
    scores: dict[tuple[int, int], dict[str, float]] = {}
    for row in studio.held_out.rows(folder.name):
        scores.setdefault((row.stage, row.step), {})[row.language] = row.bits_per_byte
    found = []
    for number, stage in enumerate(runs.recipe_of(studio, folder.name).stages):
        place, reference = stage_folder(folder, number, stage), f"run:{folder.name}/{stage.name}"
        for path in checkpoints(place):
            step, size = step_of(path), _size(path.rglob("*"))
            bits = scores.get((number, step), {})
            made = path.stat().st_mtime
            found.append(Checkpoint(f"{reference}@{step}", number, stage.name, step, False, path, size, made, bits))
        if (place / WEIGHTS).is_file():
            end, made = _last_step(place), (place / WEIGHTS).stat().st_mtime
            bits = {} if end is None else scores.get((number, end), {})
            size = _size(place.iterdir())
            found.append(Checkpoint(reference, number, stage.name, end, True, place, size, made, bits))
    return found


def _last_step(stage: Path) -> int | None:
    path = stage / ORDER
    return int(json.loads(path.read_text(encoding="utf8"))["steps"]) if path.is_file() else None


def _place(checkpoint: Checkpoint) -> tuple[int, bool, int]:
    return checkpoint.stage, checkpoint.end, checkpoint.step or 0


def _kept(unfinished: Sequence[Checkpoint]) -> set[Path]:
    """The newest and the best of a stage that is not finished."""
    newest = max(unfinished, key=_place)
    scored = [each for each in unfinished if "fa" in each.bits]
    return {newest.folder, min(scored, key=lambda each: each.bits["fa"], default=newest).folder}


def _meets(checkpoint: Checkpoint, reference: ModelReference) -> bool:
    """Whether a reference to the run means this checkpoint; without a step it means the end of a stage or a newest."""
    if reference.revision is None or int(reference.revision) != checkpoint.step:
        return False
    return reference.stage in (None, checkpoint.name)


def _spare(checkpoint: Checkpoint, *, needed: bool, finished: bool) -> list[Spare]:
    if not needed:
        return [Spare(checkpoint.folder, checkpoint.bytes, "checkpoint", checkpoint.name, checkpoint.step)]
    path = checkpoint.folder / OPTIMIZER
    if not finished or not path.is_file():
        return []
    return [Spare(path, path.stat().st_size, "optimizer", checkpoint.name, checkpoint.step)]


def _size(paths: Iterable[Path]) -> int:
    return sum(path.lstat().st_size for path in paths if path.is_file())


def as_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint as ``runs show`` answers it on the command line."""
    return {
        "reference": checkpoint.reference,
        "stage": checkpoint.name,
        "step": checkpoint.step,
        "end_of_stage": checkpoint.end,
        "bytes": checkpoint.bytes,
        "time": checkpoint.time,
        "bits_per_byte": checkpoint.bits,
        "best": checkpoint.best,
        "newest": checkpoint.newest,
    }
