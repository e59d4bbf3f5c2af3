"""Checkpoints of a stage: a folder counts only once it is whole, and the newest few and the best one are kept."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.recipes import Stage

KEPT = 3
WEIGHTS = "adapter_model.safetensors"
"""Of a checkpoint, and of a stage: there it says that the stage is finished."""
COUNTS = "progress.json"
SUMS = "sha256.json"
"""Beside the files of a checkpoint or finished stage: what each of them was when it was written."""
_INCOMING = ".incoming-"
_BROKEN = "broken-"


@dataclass(slots=True)
class Counts:
    """What a run has done so far, over all stages: tokens without padding, characters, seconds of stepping, joules.

    Steps that are repeated after a kill count once; `energy` is None where nothing measures it.
    """

    tokens: int = 0
    characters: int = 0
    seconds: float = 0.0
    energy: float | None = None


def write_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder aside and rename it to `folder`, so that a kill in the middle leaves nothing that counts.

    ``sha256.json`` is added, by which `is_sound` knows later what a failing disk or a cut-off copy has changed.

    Raises:
        StudioError: ``disk.full`` if there was no room; what was written is removed.
    """
    aside = folder.parent / f"{_INCOMING}{folder.name}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        fill(aside)
        sums = {path.name: _sum(path) for path in sorted(aside.iterdir())}
        (aside / SUMS).write_text(json.dumps(sums), encoding="utf8")
        for path in (*aside.iterdir(), aside):
            _sync(path)
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
        _sync(folder.parent)  # the new name itself, or a power cut could take it back
    except Exception as error:
        # torch and safetensors wrap a full disk in errors of their own, so the disk itself is asked
        full = getattr(error, "errno", None) == errno.ENOSPC or shutil.disk_usage(folder.parent).free < 2**20
        shutil.rmtree(aside, ignore_errors=True)
        if full:
            raise StudioError("disk.full", folder=str(folder.parent)) from error
        raise


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_sound(folder: Path) -> bool:
    """Whether every file of a checkpoint or finished stage is as it was written; the adapter must be among them."""
    try:
        sums = json.loads((folder / SUMS).read_text(encoding="utf8"))
        return WEIGHTS in sums and all(_sum(folder / name) == value for name, value in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def is_finished(stage: Path) -> bool:
    """Whether a stage has ended and what it left is as it was written."""
    return (stage / WEIGHTS).is_file() and is_sound(stage)


def set_aside_broken(stage: Path, broken: Callable[[int, int], None]) -> None:
    """Take checkpoints that are not as they were written out of account, from the newest to the first sound one.

    They stay until the next checkpoint is saved.

    Args:
        stage: Folder of the stage.
        broken: Hears the step of each, and the step of the checkpoint before it that takes its place (0: none).
    """
    for path in reversed(found := checkpoints(stage)):
        if is_sound(path):
            return
        before = found.index(path) - 1
        path.rename(path.with_name(f"{_BROKEN}{path.name}"))
        broken(step_of(path), step_of(found[before]) if before >= 0 else 0)


def save_counts(counts: Counts, folder: Path) -> None:
    """Keep `counts` beside the weights of a checkpoint."""
    (folder / COUNTS).write_text(json.dumps(asdict(counts)), encoding="utf8")


def load_counts(folder: Path) -> Counts:
    """The counts kept in a checkpoint or finished stage."""
    return Counts(**json.loads((folder / COUNTS).read_text(encoding="utf8")))


def stage_folder(run: Path, number: int, stage: Stage) -> Path:
    """Where stage `number` (from 0) of a run keeps its adapter and checkpoints."""
    return run / "stages" / f"{number:02d}-{stage.name}"


def checkpoint_folder(stage: Path, step: int) -> Path:
    """Where the checkpoint of `step` belongs."""
    return stage / "checkpoints" / f"step-{step:06d}"


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was saved after."""
    return int(checkpoint.name.removeprefix("step-"))


def checkpoints(stage: Path) -> list[Path]:
    """Whole checkpoints of a stage folder, oldest first."""
    return sorted(stage.glob("checkpoints/step-*"))


def prune(stage: Path, best: int | None = None, kept: int = KEPT) -> None:
    """Remove all checkpoints but the newest `kept` and that of step `best`, and what a kill or a fault left."""
    old = [path for path in checkpoints(stage)[:-kept] if step_of(path) != best]
    for path in [*old, *stage.glob(f"checkpoints/{_INCOMING}*"), *stage.glob(f"checkpoints/{_BROKEN}*")]:
        shutil.rmtree(path, ignore_errors=True)
