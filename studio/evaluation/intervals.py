"""How far a share may be from what was counted: an interval for a proportion."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper end of Wilson's score interval for a proportion, both between 0 and 1.

    E. B. Wilson, «Probable inference, the law of succession, and statistical inference», Journal of the American
    Statistical Association 22 (1927), 209–212. Unlike the textbook's ``p ± z·√(p(1−p)/n)`` it does not shrink to a
    point when all trials, or none, succeed, and it holds its confidence from a handful of trials on.

    Args:
        successes: How many trials succeeded.
        trials: How many there were; nothing is known of none, and the interval is then (0, 1).
        confidence: How often such an interval should hold the true proportion, between 0 and 1.

    Raises:
        ValueError: For a negative count, more successes than trials, or a confidence that is none.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no count of successes")
    if not 0 < confidence < 1:
        raise ValueError(f"{confidence} is no confidence between 0 and 1")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At none and at all the end is 0 or 1 exactly, which rounding misses by 1e-17.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high
