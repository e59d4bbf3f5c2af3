"""The longest batch of a stage, tried before its first step: too little memory is said at once and not hours later."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch
from torch import Tensor

from studio.errors import StudioError
from studio.recipes import Stage
from studio.training.ranks import ALONE, Ranks
from studio.training.shortage import is_shortage

FILE = "dry_run.json"
NEAR = 0.9  # a first batch that has this share of the longest one's tokens is the dry run itself
FEW = 50  # batches; on a processor a dry run of fewer would cost more than 2% of the stage
TICK = 0.005  # seconds between two looks at a processor's memory
ADAM_BYTES = 8  # of state for a weight that learns, two moments in fp32
ADAM8_BYTES = 2


@dataclass(frozen=True, slots=True)
class DryRun:
    """What the longest batch came to.

    Attributes:
        tokens: Of that batch.
        seconds: Forward and backward.
        memory_bytes: Held at most, with the model: allocated on CUDA, else resident.
        needed_bytes: What the batch took above the model, and the optimizer will take besides.
        free_bytes: What was free before.
    """

    tokens: int
    seconds: float
    memory_bytes: int
    needed_bytes: int
    free_bytes: int


def try_longest(
    stage: Stage,
    batches: Sequence[Sequence[int]],
    tokens: Sequence[int],
    learning: Sequence[Tensor],
    loss_of: Callable[[Sequence[int]], Tensor],
    folder: Path,
    ranks: Ranks = ALONE,
) -> DryRun | None:
    """Run the longest of `batches` forward and backward, and keep what it took in ``dry_run.json``.

    Nothing learns, gradients are dropped, and the random state is as before. Left out, with the reason in the file,
    where the first batch is about as long (``first_batch``), and on a processor where there are few (``short``).

    Args:
        stage: Its batch and accumulation go into the advice, its optimizer into what is needed.
        batches: Row numbers of all batches still to come; none leaves nothing to try.
        tokens: Of each row.
        learning: All weights that learn in this stage.
        loss_of: The loss of one batch, given its row numbers.
        folder: Of the stage.
        ranks: The processes that share the steps. One that would leave it out runs it where another does not: a
            divided base computes only where all do.

    Raises:
        StudioError: ``memory.device_batch`` or ``memory.host_batch`` if the batch, or the optimizer's state after it,
            does not fit.
    """
    if not batches:
        return None
    cuda = learning[0].device.type == "cuda"
    lengths = [sum(tokens[row] for row in batch) for batch in batches]
    longest = max(range(len(batches)), key=lambda place: lengths[place])
    reason = _skipped(lengths, longest, cuda=cuda)
    if ranks.total(float(reason is None))[0] == 0:
        if ranks.first:
            _keep(folder, {"tokens": lengths[longest], "skipped": reason})
        return None
    free, watch, began = _free(cuda=cuda), _Peak(cuda=cuda), time.perf_counter()
    with _restored(learning), watch:
        try:
            loss_of(batches[longest]).backward()
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_shortage(error):
                raise
            raise _too_large(stage, lengths[longest], watch.most - watch.before, free, cuda=cuda) from error
    needed = watch.most - watch.before + _optimizer_bytes(stage, learning, cuda=cuda)
    found = DryRun(lengths[longest], time.perf_counter() - began, watch.most, needed, free)
    if ranks.first:
        _keep(folder, asdict(found))
    if needed > free:
        raise _too_large(stage, lengths[longest], needed, free, cuda=cuda)
    return found


def _skipped(lengths: Sequence[int], longest: int, *, cuda: bool) -> Literal["first_batch", "short"] | None:
    if lengths[0] >= NEAR * lengths[longest]:
        return "first_batch"
    return "short" if not cuda and len(lengths) < FEW else None


def _keep(folder: Path, found: dict[str, object]) -> None:
    (folder / FILE).write_text(json.dumps(found), encoding="utf8")


@contextmanager
def _restored(learning: Sequence[Tensor]) -> Iterator[None]:
    """Random state and gradients afterwards as before: there were none."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            for weight in learning:
                weight.grad = None


def _optimizer_bytes(stage: Stage, learning: Sequence[Tensor], *, cuda: bool) -> int:
    each = ADAM8_BYTES if cuda and stage.optimizer != "adamw" else ADAM_BYTES
    return each * sum(int(weight.numel()) for weight in learning)


def _free(*, cuda: bool) -> int:
    if not cuda:
        return int(psutil.virtual_memory().available)
    unused = int(torch.cuda.memory_reserved() - torch.cuda.memory_allocated())
    return int(torch.cuda.mem_get_info()[0]) + unused


def _too_large(stage: Stage, tokens: int, needed: int, free: int, *, cuda: bool) -> StudioError:
    return StudioError(
        "memory.device_batch" if cuda else "memory.host_batch",
        stage=stage.name,
        tokens=tokens,
        needed=needed,
        free=free,
        batch=max(1, stage.batch // 2),
        accumulation=stage.accumulation * 2,
    )


class _Peak:
    """The most memory between its two ends; `before` is what was held when it was made."""

    def __init__(self, *, cuda: bool) -> None:
        self._cuda = cuda
        self._process = psutil.Process()
        self.before = self.most = int(torch.cuda.memory_allocated()) if cuda else self._resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Peak:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        else:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._cuda:
            torch.cuda.synchronize()
            self.most = int(torch.cuda.max_memory_allocated())
        else:
            self._done.set()
            self._thread.join()
            self.most = max(self.most, self._resident())

    def _look(self) -> None:
        while not self._done.wait(TICK):
            self.most = max(self.most, self._resident())

    def _resident(self) -> int:
        return int(self._process.memory_info().rss)
