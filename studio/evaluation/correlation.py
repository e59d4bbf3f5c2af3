"""Spearman's rank correlation of two figures of the same items, with its interval.

A correlation of ranks (Spearman 1904): equal values share the mean of their places, and the ranks' Pearson correlation
is taken, which is right with ties too, where ``1 − 6·Σd²/(n³ − n)`` is not. The interval is the percentile bootstrap's
over items, as for all figures that are no shares (`studio.evaluation.scores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from studio.errors import StudioError
from studio.evaluation.results import Figure, Item
from studio.evaluation.scores import ENDS, Difference, draws, shared
from studio.evaluation.suites import SPEARMAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 3
"""Two items always correlate perfectly."""


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The correlation, −1 to 1; None where one side is the same throughout, which no order can be seen in."""
    return _pearson(_ranks(np.asarray(first, np.float64)), _ranks(np.asarray(second, np.float64)))


def graded(items: Sequence[Item]) -> dict[str, Figure]:
    """``spearman`` of likeness and people's grades over the items that have both; nothing where it is not defined."""
    pairs = [(item.likeness, item.grade) for item in items if item.likeness is not None and item.grade is not None]
    if len(pairs) < FEWEST:
        return {}
    table = np.array(pairs, np.float64)
    value = spearman(table[:, 0].tolist(), table[:, 1].tolist())
    if value is None:
        return {}
    # A draw of one item alone, many times over, has no order: it says nothing and is left out.
    drawn = [_of_rows(table[chosen]) for chosen in draws(len(pairs))]
    low, high = np.percentile([one for one in drawn if one is not None], ENDS)
    return {SPEARMAN: Figure(value, float(low), float(high), len(pairs))}


def difference(first: Sequence[Item], second: Sequence[Item]) -> Difference:
    """How much better the second model's likenesses agree with people's grades than the first's, on the same pairs.

    Raises:
        StudioError: ``evaluation.other_items`` if fewer than three pairs have both, or one side sees no order in them.
    """
    both = [pair for pair in shared(first, second) if all(None not in (item.likeness, item.grade) for item in pair)]
    tables = [
        np.array([(item.likeness, item.grade) for item in items], np.float64) for items in zip(*both, strict=True)
    ]
    whole = [_of_rows(table) for table in tables] if len(both) >= FEWEST else []
    if not whole or None in whole:
        raise StudioError("evaluation.other_items")
    drawn = [[_of_rows(table[chosen]) for table in tables] for chosen in draws(len(both))]
    spread = [after - before for before, after in drawn if before is not None and after is not None]
    low, high = np.percentile(spread, ENDS)
    return Difference(float(whole[1]) - float(whole[0]), float(low), float(high), len(both))  # type: ignore[arg-type]


def _of_rows(rows: NDArray[np.float64]) -> float | None:
    return _pearson(_ranks(rows[:, 0]), _ranks(rows[:, 1]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places from 1; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return last[which]


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    one, other = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread else None
