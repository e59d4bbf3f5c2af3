"""Alarms are raised by what a person would point at in the curves, once, and not by ordinary noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from studio.jobs.events import Alarm, HeldOutRow, MetricRow
from studio.training.alarms import APART, Watch, english_lost


def row(step: int, loss: float, norm: float = 1.0, new: float | None = None, stage: int = 0) -> MetricRow:
    return MetricRow(stage, step, 100.0 + step, loss, norm, new, 2e-4, step, step, 5.0, 15.0, 1000)


def alarms(losses: Iterable[float], norms: Sequence[float] | None = None) -> list[tuple[str, int]]:
    watch, losses = Watch(), list(losses)
    rows = [row(step, loss, 1.0 if norms is None else norms[step - 1]) for step, loss in enumerate(losses, start=1)]
    return [(alarm.kind, alarm.step) for each in rows for alarm in watch.see(each)]


def falling(steps: int, seed: int = 0, noise: float = 0.1) -> np.ndarray:
    scatter = np.random.default_rng(seed).standard_normal(steps)
    return (1.6 + 1.5 * np.exp(-np.arange(steps) / 200)) * np.exp(noise * scatter)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15, 0.3])
def test_a_run_that_goes_well_raises_none(noise: float) -> None:
    norms = np.exp(0.3 * np.random.default_rng(1).standard_normal(5_000))
    assert alarms(falling(5_000, noise=noise), norms) == []


def test_one_spike_is_one_alarm_that_tells_what_was_usual() -> None:
    losses, norms = falling(200), np.exp(0.2 * np.random.default_rng(2).standard_normal(200))
    losses[120] *= 3
    norms[60] *= 12
    assert alarms(losses, norms) == [("gradient_spike", 61), ("loss_spike", 121)]
    watch = Watch()
    told = [alarm for step in range(1, 41) for alarm in watch.see(row(step, 2.0, new=50.0 if step == 30 else 1.0))]
    assert [alarm.details for alarm in told] == [{"series": "grad_norm_new", "value": 50.0, "usual": pytest.approx(1)}]


def test_a_run_gone_astray_is_told_of_now_and_then() -> None:
    losses = np.concatenate([falling(200), [9.0] * 10, falling(30)])
    assert alarms(losses) == [("loss_spike", 201)]
    rising = np.concatenate([falling(300), falling(300)[-1] * (1 + 0.01 * np.arange(200))])
    steps = [step for kind, step in alarms(rising) if kind == "loss_rises"]
    assert 300 < steps[0] < 360
    assert all(later - step == APART for step, later in zip(steps, steps[1:], strict=False))


def test_no_loss_at_all_is_told_of_but_not_for_one_step() -> None:
    assert alarms([2.0, 0.0, 2.0, 0.0, 0.0, 2.0]) == []
    assert alarms([2.0, 0.0, 0.0, 0.0]) == [("zero_loss", 4)]


def test_a_stage_is_judged_by_itself() -> None:
    watch = Watch()
    assert [each for step in range(1, 61) for each in watch.see(row(step, 1.0, 0.1))] == []
    assert [each for step in range(1, 61) for each in watch.see(row(step, 5.0, 9.0, stage=1))] == []


def test_a_resumed_run_is_judged_as_if_it_had_never_been_away() -> None:
    losses = falling(100)
    losses[[40, 70]] *= 4
    rows = [row(step, loss) for step, loss in enumerate(losses, start=1)]
    whole = Watch()
    expected = [alarm for each in rows for alarm in whole.see(each)]
    assert [alarm.step for alarm in expected] == [41]  # the second is less than `APART` steps later
    for cut in (30, 50, 80):
        resumed = Watch(rows[:90])  # the worker died at step 90, its last checkpoint is that of `cut`
        assert [alarm for each in rows[cut:] for alarm in resumed.see(each)] == [
            alarm for alarm in expected if alarm.step > cut
        ]


def test_english_may_cost_what_the_recipe_allows() -> None:
    base = HeldOutRow(-1, 0, "en", 1.0, 1.0, 10, 10, 0.0)
    now = replace(base, stage=1, step=7, bits_per_byte=1.03)
    assert english_lost(base, now, 0.04) is None
    details = {"share": pytest.approx(0.03), "limit": 0.02, "value": 1.03, "base": 1.0}
    assert english_lost(base, now, 0.02) == Alarm(1, 7, "english_lost", 0.0, details)
