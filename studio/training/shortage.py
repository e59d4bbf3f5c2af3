"""Too little memory in the middle of a training: once, by itself, half the batch at double accumulation.

A step then takes the same rows in twice as many batches, so losses are those of the whole batch within rounding, and
the recipe stays as it is. How often a run was halved stands in ``halved.json`` of its folder.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from studio import memory
from studio.errors import StudioError
from studio.recipes import Recipe, Stage

FILE = "halved.json"
ONCE = 1
_TRIED_BEFORE = ("memory.device_batch", "memory.host_batch", "memory.device_full", "memory.host_full")


def is_shortage(error: BaseException) -> bool:
    """Whether `error` says that memory of the card or of the machine did not do."""
    if isinstance(error, StudioError):
        return error.code in _TRIED_BEFORE
    # a processor's allocator has no error of its own
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def halvings(run: Path) -> int:
    """How often the batches of a run have been halved."""
    try:
        return int(json.loads((run / FILE).read_text(encoding="utf8"))["times"])
    except FileNotFoundError:
        return 0


def halve(run: Path, recipe: Recipe) -> bool:
    """Halve the batches of `run` from now on; False if that was done before, or no batch has two rows."""
    if halvings(run) >= ONCE or all(_single(stage) for stage in recipe.stages):
        return False
    (run / FILE).write_text(json.dumps({"times": halvings(run) + 1}), encoding="utf8")
    return True


def _single(stage: Stage) -> bool:
    return stage.kind == "instruct" and stage.batch == 1


def advice(error: BaseException, recipe: Recipe, *, cuda: bool) -> StudioError:
    """What to change after a second shortage, with numbers; `recipe` is as the run was started."""
    if isinstance(error, StudioError) and error.code in ("memory.device_batch", "memory.host_batch"):
        return error
    stage = max(recipe.stages, key=lambda each: each.batch * each.length)
    free = int(torch.cuda.mem_get_info()[0]) if cuda else memory.available()[0]
    return StudioError(
        "memory.device_still_full" if cuda else "memory.host_still_full",
        stage=stage.name,
        free=free,
        batch=max(1, stage.batch // 4),
        accumulation=stage.accumulation * stage.batch // max(1, stage.batch // 4),
        length=max(64, stage.length // 2),
    )
