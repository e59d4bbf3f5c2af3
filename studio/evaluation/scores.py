"""Scores of many items with their intervals, and the difference of two models on the same items.

Shares of right answers have Wilson's interval. Everything else, and every difference, has the percentile interval of a
bootstrap over items (Koehn 2004, "Statistical significance tests for machine translation evaluation"), paired where
two models answered the same questions: an item that is hard for both says little about which is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.errors import StudioError
from studio.evaluation.intervals import wilson
from studio.evaluation.results import Figure, Item
from studio.evaluation.suites import CORPUS_METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2_000
SEED = 3407
ENDS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Difference:
    """Second model minus first, on the items that both answered, with its 95% interval."""

    difference: float
    low: float
    high: float
    items: int

    @property
    def shown(self) -> bool:
        """Whether the interval leaves zero out; if not, no difference was shown."""
        return not self.low <= 0 <= self.high


def score(items: Sequence[Item], metric: str) -> Figure:
    """The figure of all `items`.

    Raises:
        StudioError: ``evaluation.no_items``.
    """
    if not items:
        raise StudioError("evaluation.no_items")
    values = [item.value for item in items]
    if all(value in (0.0, 1.0) for value in values):
        right = sum(value == 1.0 for value in values)
        low, high = wilson(right, len(items))
        return Figure(right / len(items), low, high, len(items))
    table, whole = _table(items, metric)
    low, high = np.percentile(_resampled(table, whole, draws(len(items))), ENDS)
    return Figure(whole(table.sum(0, keepdims=True))[0], float(low), float(high), len(items))


def difference(first: Sequence[Item], second: Sequence[Item], metric: str) -> Difference:
    """How much higher the second model scores than the first.

    Raises:
        StudioError: ``evaluation.other_items`` if the two did not answer the same questions.
    """
    pairs = shared(first, second)
    drawn = draws(len(pairs))
    tables, sums, spread = [], [], []
    for found in zip(*pairs, strict=True):
        table, whole = _table(found, metric)
        tables.append(table)
        sums.append(whole(table.sum(0, keepdims=True))[0])
        spread.append(_resampled(table, whole, drawn))
    low, high = np.percentile(spread[1] - spread[0], ENDS)
    return Difference(sums[1] - sums[0], float(low), float(high), len(pairs))


def shared(first: Sequence[Item], second: Sequence[Item]) -> list[tuple[Item, Item]]:
    """Both models' items of the same questions, in the order of the first.

    Raises:
        StudioError: ``evaluation.other_items`` if there is none.
    """
    after = {item.id: item for item in second}
    found = [(item, after[item.id]) for item in first if item.id in after and after[item.id].hash == item.hash]
    if not found:
        raise StudioError("evaluation.other_items")
    return found


def signature(metric: str) -> str | None:
    """sacrebleu's own description of BLEU or chrF as computed here; None for other figures."""
    if metric not in CORPUS_METRICS:
        return None
    judge = _judge(metric)
    judge.corpus_score([""], [[""]])  # the number of references is part of it, and only known once there are some
    return str(judge.get_signature())


Whole = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]
"""From sums over items, ``(resamples, columns)``, to figures, ``(resamples,)``."""


def _table(items: Sequence[Item], metric: str) -> tuple[NDArray[np.float64], Whole]:
    """What each item adds, ``(items, columns)``, and how sums of it become the figure."""
    if metric not in CORPUS_METRICS:
        table = np.array([[item.value, 1.0] for item in items], np.float64)
        return table, lambda sums: sums[:, 0] / sums[:, 1]
    judge = _judge(metric)
    # As sacrebleu's own significance tests do: what each sentence adds is counted once, and only the sums are drawn.
    counts = judge._extract_corpus_statistics([item.said for item in items], [[item.wanted for item in items]])

    def whole(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([judge._compute_score_from_stats([int(n) for n in row]).score for row in sums], np.float64)

    return np.array(counts, np.float64), whole


def _resampled(table: NDArray[np.float64], whole: Whole, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    return whole(np.stack([table[chosen].sum(0) for chosen in draws]))


def draws(items: int) -> NDArray[np.int64]:
    """Which items each resample takes, ``(RESAMPLES, items)``; the same for all figures of as many items."""
    return np.random.default_rng(SEED).integers(0, items, (RESAMPLES, items))


@cache
def _judge(metric: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return BLEU() if metric == "bleu" else CHRF()  # as lm-eval has them
