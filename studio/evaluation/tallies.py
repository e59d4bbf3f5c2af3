"""Blind votes counted by pair of models, with the interval that says whether one of them is better."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from studio.evaluation.intervals import wilson
from studio.jobs.votes import Counted

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Tally:
    """All votes about two models over one base; `against` is the base itself where it is one of them.

    `wins` and `losses` are those of `model`; `equal` and `bad` decided nothing.
    """

    base: str
    model: str
    against: str
    wins: int = 0
    losses: int = 0
    equal: int = 0
    bad: int = 0

    @property
    def decided(self) -> int:
        return self.wins + self.losses

    @property
    def share(self) -> float | None:
        """Wins among the decided votes; None before there is one."""
        return self.wins / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of `share`."""
        return wilson(self.wins, self.decided, CONFIDENCE)

    @property
    def shows_difference(self) -> bool:
        """Whether the interval leaves out that either is as likely to win."""
        low, high = self.interval
        return not low <= 0.5 <= high


def tally(counts: Iterable[Counted], wanted: Callable[[str], bool] = lambda reference: True) -> list[Tally]:
    """Votes by pair: models against their base first, then models against each other.

    Args:
        counts: All votes, from `studio.jobs.votes.VoteStore.counts`.
        wanted: Only pairs with a model whose reference passes.
    """
    found: dict[tuple[str, str, str], Tally] = {}
    for counted in counts:
        turned = counted.first == counted.base or (counted.second != counted.base and counted.first > counted.second)
        model, against = (counted.second, counted.first) if turned else (counted.first, counted.second)
        key = (counted.base, model, against)
        before = found.get(key, Tally(*key))
        won = {"first": "losses" if turned else "wins", "second": "wins" if turned else "losses"}
        side = won.get(counted.winner, counted.winner)
        found[key] = replace(before, **{side: getattr(before, side) + counted.votes})
    pairs = [pair for pair in found.values() if wanted(pair.model) or wanted(pair.against)]
    return sorted(pairs, key=lambda pair: pair.against != pair.base)
