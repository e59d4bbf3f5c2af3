"""Thinning keeps the extremes, appends only what is new, and stays small."""

from __future__ import annotations

import json
import math

import numpy as np

from studio.jobs.curves import COLUMNS, HELD_OUT, POINTS, SERIES, curve_payload, stage_starts, unchanged
from studio.jobs.events import HeldOutRow


def row(
    number: int, *, stage: int = 0, step: int | None = None, loss: float | None = 2.0, rest: float | None = 1.0
) -> tuple[float | None, ...]:
    return (number, stage, number if step is None else step, loss, *[rest] * (len(SERIES) - 1))


def test_few_rows_are_sent_as_they_are() -> None:
    payload = curve_payload([row(1, loss=3.0), row(2, loss=None), row(3, loss=1.5)])
    assert payload["series"]["loss"] == {"x": [1, 3], "y": [3.0, 1.5]}
    assert payload["token"] == 3
    assert payload["replace"]
    assert not payload["unchanged"]


def test_a_series_never_measured_is_left_out() -> None:
    payload = curve_payload([row(1, rest=None), row(2, rest=None)])
    assert set(payload["series"]) == {"loss"}


def test_values_that_are_no_numbers_are_left_out() -> None:
    payload = curve_payload([row(1, loss=math.nan), row(2, loss=math.inf), row(3, loss=2.0)])
    assert payload["series"]["loss"] == {"x": [3], "y": [2.0]}


def test_many_rows_are_thinned_and_keep_their_spike() -> None:
    noise = np.random.default_rng(3)
    rows = [row(i, loss=4 + float(noise.normal()) * 0.1, rest=float(noise.random())) for i in range(1, 100_001)]
    rows[54_320] = row(54_321, loss=99.0)
    payload = curve_payload(rows)
    for series in payload["series"].values():
        assert len(series["x"]) <= POINTS
        assert series["x"] == sorted(series["x"])
        assert (series["x"][0], series["x"][-1]) == (1, 100_000)
    assert 99.0 in payload["series"]["loss"]["y"]
    assert len(json.dumps(payload, separators=(",", ":"))) < 200_000


def test_new_rows_are_appended_unthinned() -> None:
    payload = curve_payload([row(11), row(12)], appended=True, starts={0: 0})
    assert not payload["replace"]
    assert payload["series"]["loss"]["x"] == [11, 12]


def test_stages_stand_one_after_another() -> None:
    rows = [row(1, step=1), row(2, step=2), row(3, stage=1, step=1), row(4, stage=1, step=2), row(5, stage=2, step=1)]
    payload = curve_payload(rows)
    assert payload["series"]["loss"]["x"] == [1, 2, 3, 4, 5]
    assert payload["stages"] == [{"stage": 0, "start": 0}, {"stage": 1, "start": 2}, {"stage": 2, "start": 4}]
    assert stage_starts({0: 2, 1: 2, 2: 1}) == {0: 0, 1: 2, 2: 4}


def test_held_out_figures_stand_at_their_steps_on_the_common_axis() -> None:
    rows = [row(1, step=1), row(2, step=2), row(3, stage=1, step=1)]
    places = [(-1, 0, "fa"), (0, 0, "fa"), (0, 2, "fa"), (0, 2, "en"), (1, 1, "fa"), (2, 1, "fa")]
    held = [HeldOutRow(stage, step, language, 1.5 + step, 3.0, 10, 10, 0.0) for stage, step, language in places]
    series = curve_payload(rows, held_out=held)["series"]
    assert series["bits_fa"] == {"x": [0, 2, 3], "y": [1.5, 3.5, 2.5]}
    assert series["bits_en"] == {"x": [2], "y": [3.5]}
    assert series["held_out_loss"] == {"x": [0, 2, 3], "y": [3.0, 3.0, 3.0]}
    assert set(series) == {*SERIES, *HELD_OUT}


def test_nothing_yet_and_nothing_new() -> None:
    assert curve_payload([]) == {"token": 0, "unchanged": False, "replace": True, "stages": [], "series": {}}
    assert len(json.dumps(unchanged(123_456))) < 100
    assert COLUMNS[:2] == ("stage", "step")
