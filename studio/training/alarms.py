"""Alarms: what a person should look at while a run goes on, told from its metric rows and held-out figures alone.

Spikes are told in logarithms, where losses and gradient norms scatter evenly: a value counts when it lies `NOISE`
times the usual scatter (1.4826 times the median absolute deviation) over the median of the `WINDOW` steps before, and
is `RATIO` times that median. In runs of the starter model that went well no step was above 5.5 times the scatter.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence

from studio.jobs.events import Alarm, HeldOutRow, MetricRow

KINDS = ("loss_spike", "gradient_spike", "loss_rises", "zero_loss", "not_finite", "english_lost")
"""Those told from rows and figures; checkpoints, room and memory have theirs in `milestones` and `curriculum`:
``no_improvement``, ``ended_early``, ``english_stopped``, ``disk_low``, ``memory_low``, ``checkpoint_broken``."""

WINDOW = 50
LEAST = 20  # steps of a stage before a spike can be told from a beginning
APART = 50  # steps between two alarms of one kind: a run gone astray would raise one at every step
NOISE = 8.0
SCATTER = 0.05  # least scatter, in logarithms: a plateau that hardly moves would make every step a spike
RATIO = {"loss": 1.5, "grad_norm": 3.0, "grad_norm_new": 3.0}
RISE = 0.05  # share by which the mean of a window must lie over the best one
RISE_NOISE = 6.0  # and how many standard errors: the best of many windows is low by chance
ZERO = 1e-6
ZERO_STEPS = 3


class Watch:
    """Sees every metric row of a run once, in order, and says what is wrong; a stage is judged by itself.

    Args:
        earlier: Rows that a resumed run told before, in order; those that it is to repeat are left out of account.
    """

    def __init__(self, earlier: Sequence[MetricRow] = ()) -> None:
        self._earlier = earlier
        self._begin(0)

    def _begin(self, stage: int) -> None:
        self._stage: int = stage
        self._logs: dict[str, deque[float]] = {name: deque(maxlen=WINDOW) for name in RATIO}
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._means: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._best: tuple[float, float] | None = None
        self._zeros = 0
        self._told: dict[str, int] = {}

    def see(self, row: MetricRow) -> list[Alarm]:
        """The alarms that `row` gives cause for; at most one of a kind in `APART` steps."""
        earlier, self._earlier = self._earlier, ()
        for each in earlier:
            if (each.stage, each.step) < (row.stage, row.step):
                self._judge(each)
        return self._judge(row)

    def _judge(self, row: MetricRow) -> list[Alarm]:
        if row.stage != self._stage:
            self._begin(row.stage)
        alarms = []
        for kind, details in (*self._spikes(row), *self._zero(row), *self._rise(row)):
            if row.step - self._told.get(kind, -APART) >= APART:
                self._told[kind] = row.step
                alarms.append(Alarm(row.stage, row.step, kind, row.time, details))
        return alarms

    def _spikes(self, row: MetricRow) -> Iterator[tuple[str, dict[str, float | str]]]:
        for name, ratio in RATIO.items():
            value = getattr(row, name)
            if value is None or value <= 0 or not math.isfinite(value):
                continue
            logs, log = self._logs[name], math.log(value)
            if len(logs) >= LEAST:
                usual = statistics.median(logs)
                scatter = max(SCATTER, 1.4826 * statistics.median(abs(each - usual) for each in logs))
                if log - usual > max(NOISE * scatter, math.log(ratio)):
                    kind = "loss_spike" if name == "loss" else "gradient_spike"
                    yield kind, {"series": name, "value": value, "usual": math.exp(usual)}
            logs.append(log)

    def _zero(self, row: MetricRow) -> Iterator[tuple[str, dict[str, float | str]]]:
        self._zeros = self._zeros + 1 if row.loss is not None and row.loss < ZERO else 0
        if self._zeros >= ZERO_STEPS:
            yield "zero_loss", {}

    def _rise(self, row: MetricRow) -> Iterator[tuple[str, dict[str, float | str]]]:
        if row.loss is None:
            return
        self._losses.append(row.loss)
        if len(self._losses) < WINDOW:
            return
        mean = statistics.fmean(self._losses)
        error = statistics.variance(self._losses, mean) / WINDOW
        if len(self._means) == WINDOW and (self._best is None or self._means[0][0] < self._best[0]):
            self._best = self._means[0]  # ended a window ago, so it shares no step with this one
        self._means.append((mean, error))
        if self._best is not None:
            best, best_error = self._best
            if mean - best > max(RISE * best, RISE_NOISE * math.sqrt(error + best_error)):
                yield "loss_rises", {"value": mean, "best": best, "steps": WINDOW}


def not_finite(stage: int, step: int) -> Alarm:
    """Loss or gradient of `step` is no number; the run ends with it."""
    return Alarm(stage, step, "not_finite", time.time())


def english_lost(base: HeldOutRow, now: HeldOutRow, limit: float) -> Alarm | None:
    """English costs more than the share `limit` above the base's bits per byte; None if it does not."""
    share = now.bits_per_byte / base.bits_per_byte - 1
    if share <= limit:
        return None
    details = {"share": share, "limit": limit, "value": now.bits_per_byte, "base": base.bits_per_byte}
    return Alarm(now.stage, now.step, "english_lost", now.time, details)
