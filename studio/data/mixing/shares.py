"""How many tokens of each source a mix takes: weights, temperature, caps and the budget, as arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studio.data.mixing.order import Cap, Order


@dataclass(frozen=True, slots=True)
class Size:
    """What one source has to give: its tokens and rows in one pass, held-out rows left out."""

    tokens: float
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A mix before it is made, source by source in the order of its `Order`.

    Attributes:
        shares: Wanted shares of the tokens; they add up to 1.
        tokens: Tokens each source will give, which is less than its share where it runs out.
        whole: Whether everything the caps allow is taken, whatever it comes to.
    """

    shares: tuple[float, ...]
    tokens: tuple[float, ...]
    whole: bool

    @property
    def total(self) -> float:
        """Tokens of the mix."""
        return sum(self.tokens)


def shares(weights: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Shares that add up to 1 and go with ``weight ** (1 / temperature)``.

    Raises:
        ValueError: If a weight or the temperature is not above 0.
    """
    if not temperature > 0 or not all(weight > 0 for weight in weights):
        raise ValueError(f"weights {weights!r} at temperature {temperature!r}")
    if not weights:
        return []
    # By logarithms: at a temperature of 0.05 a weight of a billion would be 1e180.
    logs = [math.log(weight) / temperature for weight in weights]
    powers = [math.exp(log - max(logs)) for log in logs]
    return [power / sum(powers) for power in powers]


def fill(wanted: Sequence[float], available: Sequence[float], budget: float) -> list[float]:
    """`budget` divided by the shares `wanted`; what a source cannot give goes to the others by their shares."""
    given = [0.0] * len(wanted)
    left, open_ = budget, [at for at, share in enumerate(wanted) if share > 0]
    while open_ and left > 1e-9 * budget:
        part = sum(wanted[at] for at in open_)
        short = [at for at in open_ if available[at] - given[at] <= left * wanted[at] / part]
        if not short:
            for at in open_:
                given[at] += left * wanted[at] / part
            break
        for at in short:
            left -= available[at] - given[at]
            given[at] = available[at]
        open_ = [at for at in open_ if at not in short]
    return given


def limit(size: Size, cap: Cap) -> float:
    """Tokens that a cap lets a source give."""
    if cap.unit == "tokens":
        return min(size.tokens, cap.amount)
    if cap.unit == "rows":
        return size.tokens * min(1.0, cap.amount / size.rows) if size.rows else 0.0
    return size.tokens * cap.amount


def plan(order: Order, sizes: Sequence[Size]) -> Plan:
    """What each source of `order` will give, once their sizes are known or estimated.

    Replay has its share of whatever the other sources come to, never what they leave over: a base is not to be fed
    nine tenths of English because the Persian ran out.
    """
    replayed = [source.replay for source in order.sources]
    available = [limit(size, source.cap) for size, source in zip(sizes, order.sources, strict=True)]
    part = order.replay if any(have for have, replay in zip(available, replayed, strict=True) if replay) else 0.0
    weights = [
        size.tokens if source.weight is None or source.replay else source.weight
        for size, source in zip(sizes, order.sources, strict=True)
    ]
    wanted = [0.0] * len(weights)
    for group, of_all in ((False, 1.0 - part), (True, part)):
        members = [at for at, replay in enumerate(replayed) if replay == group and available[at] > 0]
        flattened = 1.0 if group else order.temperature
        for at, share in zip(members, shares([weights[at] for at in members], flattened), strict=True):
            wanted[at] = of_all * share
    chosen = [share if not replay else 0.0 for share, replay in zip(wanted, replayed, strict=True)]
    again = [share if replay else 0.0 for share, replay in zip(wanted, replayed, strict=True)]
    natural = order.temperature == 1 and all(s.weight is None for s in order.sources if not s.replay)
    tokens = _tokens(order.budget, chosen, again, available, part, natural=natural)
    return Plan(tuple(wanted), tuple(tokens), natural and order.budget is None)


def _tokens(
    budget: int | None, chosen: list[float], again: list[float], available: list[float], part: float, *, natural: bool
) -> list[float]:
    """Tokens of each source; without a budget all of them, or as many as leave the shares as they were asked for."""
    if budget is not None:
        english = sum(fill(again, available, part * budget))
        main = fill(chosen, available, budget - english)
    elif natural:
        main = [have if share else 0.0 for have, share in zip(available, chosen, strict=True)]
    else:
        scale = min((have / share for have, share in zip(available, chosen, strict=True) if share), default=0.0)
        main = [share * scale for share in chosen]
    beside = sum(main) * part / (1 - part)
    if budget is not None:
        beside = min(beside, part * budget)
    return [one + other for one, other in zip(main, fill(again, available, beside), strict=True)]
