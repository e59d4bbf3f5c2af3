"""Spearman's correlation against values reckoned by hand, with ties, and what has no order at all."""

from __future__ import annotations

import numpy as np
import pytest

from studio.errors import StudioError
from studio.evaluation.correlation import difference, graded, spearman
from studio.evaluation.results import Item


def items(likeness: list[float], grades: list[float]) -> list[Item]:
    return [Item(f"fa-en/{n}", "h", 1.0, "", "", "fa-en", "", *pair)
            for n, pair in enumerate(zip(likeness, grades, strict=True))]  # fmt: skip


def test_the_textbook_value_without_ties() -> None:
    """1 − 6·194 / (10·99), from ten pupils' IQ and hours of television."""
    iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert spearman(iq, hours) == pytest.approx(1 - 6 * 194 / 990)


def test_ties_share_the_mean_of_their_places() -> None:
    """Ranks 1, 2.5, 2.5, 4 against 1.5, 1.5, 3, 4: 3.75 / √(4.5 · 4.5); the formula without ties would say 0.85."""
    assert spearman([1, 2, 2, 3], [5, 5, 6, 9]) == pytest.approx(3.75 / 4.5)


def test_it_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    drawn = np.random.default_rng(3407)
    for _ in range(20):
        one, other = drawn.integers(0, 6, (2, 30)).tolist()
        assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)


def test_order_alone_counts() -> None:
    assert spearman([1, 2, 3, 100], [-5.0, -4.0, 0.0, 0.1]) == pytest.approx(1)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert spearman([1, 1, 1], [1, 2, 3]) is None


def test_an_interval_holds_the_value_and_grows_narrower_with_items() -> None:
    drawn = np.random.default_rng(1)
    widths = []
    for count in (20, 200):
        likeness = drawn.normal(size=count)
        found = graded(items(likeness.tolist(), np.round(likeness + drawn.normal(size=count)).tolist()))["spearman"]
        assert found.low < found.value < found.high
        assert found.items == count
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize(("likeness", "grades"), [([0.1, 0.2], [1.0, 2.0]), ([0.1, 0.2, 0.3], [3.0, 3.0, 3.0])])
def test_what_has_no_order_has_no_figure(likeness: list[float], grades: list[float]) -> None:
    assert graded(items(likeness, grades)) == {}


def test_items_without_a_grade_have_none() -> None:
    assert graded([Item(f"{n}", "h", 1.0, "", "") for n in range(9)]) == {}


def test_the_difference_of_two_models_is_that_of_their_correlations() -> None:
    drawn = np.random.default_rng(5)
    grades = drawn.normal(size=80)
    first, second = (items((grades + noise * drawn.normal(size=80)).tolist(), grades.tolist()) for noise in (3.0, 0.5))
    found = difference(first, second)
    alone = [graded(each)["spearman"].value for each in (first, second)]
    assert found.difference == pytest.approx(alone[1] - alone[0])
    assert found.items == 80
    assert 0 < found.low < found.difference < found.high
    back = difference(second, first)
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))
    same = difference(first, first)
    assert (same.difference, same.low, same.high, same.shown) == (0, 0, 0, False)


def test_pairs_are_drawn_together() -> None:
    """Two models that err alike differ by less than two that err apart, though each alone is as sure."""
    drawn = np.random.default_rng(6)
    grades, error = drawn.normal(size=(2, 60))
    one = items((grades + error).tolist(), grades.tolist())
    alike = items((grades + error + 0.05 * drawn.normal(size=60)).tolist(), grades.tolist())
    apart = items((grades + drawn.permutation(error)).tolist(), grades.tolist())
    near, far = difference(one, alike), difference(one, apart)
    assert near.high - near.low < (far.high - far.low) / 2


def test_other_pairs_are_not_compared() -> None:
    with pytest.raises(StudioError, match="evaluation.other_items"):
        difference(items([0.1, 0.2], [1, 2]), items([0.1, 0.2], [1, 2]))
    with pytest.raises(StudioError, match="evaluation.other_items"):
        difference(items([0.1, 0.2, 0.3], [1, 2, 3]), items([0.5, 0.5, 0.5], [1, 2, 3]))
