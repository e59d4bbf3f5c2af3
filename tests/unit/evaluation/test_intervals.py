"""Wilson's interval against published figures and against its own definition."""

from __future__ import annotations

from math import sqrt

import pytest

from studio.evaluation.intervals import wilson

# R's prop.test(x, n, correct = FALSE)$conf.int and Newcombe (1998), Statistics in Medicine 17, table I.
KNOWN = (
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
)


@pytest.mark.parametrize(("successes", "trials", "low", "high"), KNOWN)
def test_the_ends_are_the_published_ones(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_the_ends_are_where_the_score_test_turns() -> None:
    """At either end p, the count lies exactly z standard errors (those of p) away."""
    for successes, trials in ((3, 10), (50, 60), (499, 1000)):
        for end in wilson(successes, trials, 0.9):
            z = abs(successes / trials - end) / sqrt(end * (1 - end) / trials)
            assert z == pytest.approx(1.6448536, abs=1e-6)


def test_all_none_and_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(12, 12)
    assert high == 1.0
    assert low == pytest.approx(1 - wilson(0, 12)[1])
    assert 0.7 < low < 0.8


@pytest.mark.parametrize(("successes", "trials", "confidence"), [(-1, 4, 0.95), (5, 4, 0.95), (1, 4, 1.0), (1, 4, 0)])
def test_what_is_no_count_is_refused(successes: int, trials: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="is no"):
        wilson(successes, trials, confidence)
