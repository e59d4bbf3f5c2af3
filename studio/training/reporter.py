"""Tells the studio about each optimizer step, and hears when somebody pressed Stop."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState

from studio.errors import StudioError
from studio.jobs.events import Alarm, MetricRow, Stopping
from studio.recipes import Checkpoints
from studio.training.alarms import not_finite
from studio.training.checkpoints import Counts
from studio.training.energy import Meter
from studio.training.memory import give_back, memory_now

SPEED_STEPS = 10  # steps behind the tokens per second that are shown
GIVE_BACK_SECONDS = 5  # it takes 50 ms of the starter's training


class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Counts text, records one `MetricRow` a step, asks for checkpoints, and ends the stage when asked to stop.

    Args:
        stage: Number of the stage, from 0.
        steps: Optimizer steps of the stage.
        counts: Continued, so that tokens and characters are those of the whole run.
        record: Gets the row of each step.
        progress: Gets the share of the stage that is done.
        stopping: Asked once a step.
        saved: Called after each checkpoint with its step.
        alarm: Hears of a loss or gradient that is no number, before the error ends the run.
        meter: Counts the energy; None where nothing can.
        enough: Asked once a step; True ends the stage, since it no longer improves.
        minutes: At most between two checkpoints: what a kill may cost.
        agreed: Makes one answer of what several processes would answer: their clocks differ, their steps must not.
    """

    def __init__(
        self,
        stage: int,
        steps: int,
        counts: Counts,
        *,
        record: Callable[[MetricRow], None],
        progress: Callable[[float], None],
        stopping: Stopping,
        saved: Callable[[int], None],
        alarm: Callable[[Alarm], None],
        meter: Meter | None,
        enough: Stopping = lambda: False,
        minutes: float = Checkpoints().minutes,
        agreed: Callable[[Stopping], Stopping] = lambda asked: asked,
    ) -> None:
        self.counts = counts
        self.stopped = False
        self.early = False  # whether the stage ended before its last step because it no longer improved
        self.loss: float | None = None
        self.rows_norm: float | None = None
        self.skipped = False  # whether the last step overflowed in fp16: it was left out, and has no norm
        self._stage, self._steps = stage, steps
        self._record, self._progress, self._stopping, self._saved = record, progress, stopping, saved
        self._alarm, self._meter = alarm, meter
        self._enough = enough
        self._overdue = agreed(lambda: time.monotonic() - self._last_save >= 60 * minutes)
        self._window: deque[tuple[int, int, float]] = deque(maxlen=SPEED_STEPS)
        self._began = self._last_save = self._gave_back = time.monotonic()

    def count(self, tokens: int, characters: int) -> None:
        """Add one batch that goes through the model; padding is not text."""
        self.counts.tokens += tokens
        self.counts.characters += characters

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Start the clocks; loading took its time before."""
        self._began = self._last_save = time.monotonic()
        self._window.append((self.counts.tokens, self.counts.characters, self.counts.seconds))

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: dict[str, float], **kwargs: Any
    ) -> None:
        """Record the step just taken and decide what follows it.

        Raises:
            StudioError: ``training.not_finite`` once loss or gradient is no number; the last checkpoint stays.
        """
        if "loss" not in logs:
            return
        now = time.monotonic()
        self.counts.seconds += now - self._began
        self._began = now
        step, loss, norm = state.global_step, logs["loss"], logs.get("grad_norm")
        if self.skipped:
            norm = self.rows_norm = None
        if not math.isfinite(loss) or (norm is not None and not math.isfinite(norm)):
            self._alarm(not_finite(self._stage, step))
            raise StudioError("training.not_finite", step=step)
        self.loss = loss
        self._count_energy()
        self._record(self._row(step, loss, norm, logs.get("learning_rate")))
        self._progress(step / self._steps)
        self._decide(step, control)
        if now - self._gave_back >= GIVE_BACK_SECONDS:
            self._gave_back = now
            give_back()

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Keep the time of checkpoint and sample answers out of the speed."""
        self._saved(state.global_step)
        self._began = self._last_save = time.monotonic()

    def _count_energy(self) -> None:
        # Sample answers and held-out texts take energy too: it is that of the run, not of its steps alone.
        taken = None if self._meter is None else self._meter.taken()
        known = self.counts.energy  # None once a part of the run went uncounted: the rest alone would be too little
        self.counts.energy = None if taken is None or known is None else known + taken

    def _decide(self, step: int, control: TrainerControl) -> None:
        if step < self._steps and self._stopping():
            self.stopped = control.should_training_stop = control.should_save = True
        elif step < self._steps and self._enough():
            self.early = control.should_training_stop = True
            return
        third = step % math.ceil(self._steps / 3) == 0
        if third or step == self._steps or self._overdue():
            control.should_save = True

    def _row(self, step: int, loss: float, norm: float | None, rate: float | None) -> MetricRow:
        tokens, characters, seconds = self._window[0]
        spent = self.counts.seconds - seconds
        self._window.append((self.counts.tokens, self.counts.characters, self.counts.seconds))
        return MetricRow(
            stage=self._stage,
            step=step,
            time=time.time(),
            loss=loss,
            grad_norm=norm,
            grad_norm_new=self.rows_norm,
            learning_rate=rate,
            tokens=self.counts.tokens,
            characters=self.counts.characters,
            tokens_per_second=(self.counts.tokens - tokens) / spent if spent > 0 else None,
            characters_per_second=(self.counts.characters - characters) / spent if spent > 0 else None,
            memory=memory_now(cuda=torch.cuda.is_available()),
            energy=self.counts.energy,
        )
