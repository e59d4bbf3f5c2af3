"""Checkpoints of a stage: a folder counts only once it is whole, and only the newest few are kept."""

from __future__ import annotations

import errno
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
_INCOMING = ".incoming-"


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

    Raises:
        StudioError: ``disk.full`` if there was no room; what was written is removed.
    """
    aside = folder.parent / f"{_INCOMING}{folder.name}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        fill(aside)
        for path in aside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
    except Exception as error:
        # torch and safetensors wrap a full disk in errors of their own, so the disk itself is asked
        full = getattr(error, "errno", None) == errno.ENOSPC or shutil.disk_usage(folder.parent).free < 2**20
        shutil.rmtree(aside, ignore_errors=True)
        if full:
            raise StudioError("disk.full", folder=str(folder.parent)) from error
        raise


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


def prune(stage: Path, kept: int = KEPT) -> None:
    """Remove all but the newest `kept` checkpoints, and what a kill left half written."""
    for path in [*checkpoints(stage)[:-kept], *stage.glob(f"checkpoints/{_INCOMING}*")]:
        shutil.rmtree(path, ignore_errors=True)
