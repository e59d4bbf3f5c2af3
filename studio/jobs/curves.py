"""Curves of a run for a page: a hundred thousand steps in about a thousand points per series, and only what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

from studio.jobs.events import BASE_STAGE, HeldOutRow

SERIES = ("loss", "grad_norm", "grad_norm_new", "learning_rate", "tokens_per_second", "characters_per_second")
COLUMNS = ("stage", "step", *SERIES)
"""What `curve_payload` wants of each row, after the row's id."""

HELD_OUT = ("held_out_loss", "bits_fa", "bits_en")
"""Series of held-out figures; the loss is that of the Persian texts."""

POINTS = 1_000
NEWEST = 1_000
"""More new rows than this are thinned with all the others rather than appended."""

Numbers = NDArray[np.float64]


def curve_payload(
    rows: Sequence[Sequence[Any]],
    *,
    appended: bool = False,
    starts: Mapping[int, int] | None = None,
    held_out: Sequence[HeldOutRow] = (),
) -> dict[str, Any]:
    """What a page needs to draw `rows`.

    Args:
        rows: ``(id, *COLUMNS)`` in step order; values that were not measured are None.
        appended: True if `rows` are only those after the page's token: they are sent as they are. Otherwise `rows`
            are the whole run and every series is thinned to `POINTS`, which keeps its highs and lows.
        starts: The first step of each stage on the common axis, from `stage_starts`; worked out of `rows` when
            these are the whole run.
        held_out: All held-out figures of the run, for a payload that replaces what the page has.

    Returns:
        ``{"token": int, "unchanged": bool, "replace": bool, "stages": [{"stage", "start"}],
        "series": {name: {"x": [step], "y": [value]}}}``. A series without any value is left out. `token` is the id to
        ask from next time. Steps count from the start of the run, over all its stages.
    """
    if not rows:
        return {"token": 0, "unchanged": appended, "replace": not appended, "stages": [], "series": {}}
    table = np.array(rows, dtype=np.float64)  # None becomes nan
    stage = table[:, 1].astype(np.int64)
    if starts is None:
        lasts = {int(number): int(table[stage == number, 2].max()) for number in np.unique(stage)}
        starts = stage_starts(lasts)
    steps = table[:, 2].copy()
    for number, start in starts.items():
        steps[stage == number] += start
    series = {}
    for position, name in enumerate(SERIES, start=3):
        points = _points(steps, table[:, position], thinned=not appended)
        if points["x"]:
            series[name] = points
    return {
        "token": int(table[-1, 0]),
        "unchanged": False,
        "replace": not appended,
        "stages": [{"stage": number, "start": start} for number, start in sorted(starts.items())],
        "series": series | _held_out_points(held_out, starts),
    }


def unchanged(token: int) -> dict[str, Any]:
    """The answer to a page that has seen everything."""
    return {"token": token, "unchanged": True}


def stage_starts(last_steps: Mapping[int, int]) -> dict[int, int]:
    """Where each stage begins on the common axis, from the last step of each stage."""
    starts: dict[int, int] = {}
    start = 0
    for stage, last in sorted(last_steps.items()):
        starts[stage] = start
        start += last
    return starts


def _held_out_points(rows: Sequence[HeldOutRow], starts: Mapping[int, int]) -> dict[str, dict[str, list[float]]]:
    series: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.stage == BASE_STAGE or row.stage not in starts:
            continue  # the base is no step of the run; a stage without a step yet has no place on the axis
        drawn = {f"bits_{row.language}": row.bits_per_byte}
        if row.language == "fa":
            drawn["held_out_loss"] = row.loss
        for name, value in drawn.items():
            points = series.setdefault(name, {"x": [], "y": []})
            points["x"].append(starts[row.stage] + row.step)
            points["y"].append(float(f"{value:.5g}"))
    return series


def _points(steps: Numbers, values: Numbers, *, thinned: bool) -> dict[str, list[float]]:
    known = np.isfinite(values)
    x, y = steps[known], values[known]
    if thinned and len(x) > POINTS:
        chosen = MinMaxLTTBDownsampler().downsample(x, y, n_out=POINTS)
        x, y = x[chosen], y[chosen]
    return {"x": x.astype(np.int64).tolist(), "y": [float(f"{value:.5g}") for value in y]}
