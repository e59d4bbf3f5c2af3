"""What a user asks of a mix: which datasets with which weights, how many tokens, and the switches around them."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from studio.data.pairs import Direction
from studio.data.sample import Kind
from studio.errors import StudioError

SEED = 3407
REPLAY = 0.1
"""Share of English in a mix for pretraining, so that the base does not forget what it knows."""

LARGEST_SHARE = 0.5
"""Of replay and of the held-out part."""

_UNITS = ("passes", "rows", "tokens")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cap(_Strict):
    """The most that a mix takes of one source.

    ``passes`` may exceed 1, which repeats the source, or be a part of it; ``rows`` and ``tokens`` end within one pass.
    """

    amount: float = 1.0
    unit: Literal["passes", "rows", "tokens"] = "passes"


class Source(_Strict):
    """A dataset of a mix.

    Attributes:
        dataset: Its name.
        weight: Its share of the tokens, relative to the others; None for its own size in tokens.
        direction: How pairs are written out.
        cap: The most that is taken of it.
        replay: Whether it is English added so that the base does not forget, outside the weights.
    """

    dataset: str
    weight: float | None = None
    direction: Direction = "both"
    cap: Cap = Cap()
    replay: bool = False


class Order(_Strict):
    """A whole mix.

    Attributes:
        sources: The datasets, replay last.
        kind: What the mix holds.
        budget: Tokens of texts, without special tokens; None for as many as the weights allow.
        temperature: Shares go with ``weight ** (1 / temperature)``: 1 keeps them, more makes them more alike.
        replay: Share of the tokens that replay sources get.
        held_out: Share of the rows that is set aside for the held-out dataset; 0 for none.
        seed: Of all that is drawn.
        tokenizer: Whose tokens count: a model reference or the name of a vocabulary.
    """

    sources: tuple[Source, ...]
    kind: Kind
    budget: int | None = None
    temperature: float = 1.0
    replay: float = 0.0
    held_out: float = 0.0
    seed: int = SEED
    tokenizer: str = ""

    def checked(self) -> Order:
        """The same, once it is known to make sense.

        Raises:
            StudioError: ``mix.no_sources``, ``mix.same_twice``, ``mix.bad_weight``, ``mix.some_weights``,
                ``mix.bad_budget``, ``mix.bad_temperature``, ``mix.bad_cap`` or ``mix.bad_share``.
        """
        chosen = [source for source in self.sources if not source.replay]
        if not chosen:
            raise StudioError("mix.no_sources")
        names = [source.dataset for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise StudioError("mix.same_twice", name=name)
        _check_weights(chosen)
        for source in self.sources:
            _check_cap(source.cap, f"{source.cap.amount:g}{source.cap.unit}")
        if self.budget is not None and self.budget < 1:
            raise StudioError("mix.bad_budget", value=self.budget)
        if not (math.isfinite(self.temperature) and 0.05 <= self.temperature <= 100):
            raise StudioError("mix.bad_temperature", value=str(self.temperature))
        for share in (self.replay, self.held_out):
            if not 0 <= share <= LARGEST_SHARE:
                raise StudioError("mix.bad_share", value=str(share), most=LARGEST_SHARE)
        return self


def parse_source(text: str) -> tuple[str, float | None]:
    """A dataset's name and its weight from ``NAME`` or ``NAME=WEIGHT``.

    Raises:
        StudioError: ``mix.bad_weight``.
    """
    name, equals, weight = text.partition("=")
    return name.strip(), _number(weight, "mix.bad_weight", name=name, value=weight) if equals else None


def parse_cap(text: str) -> tuple[str | None, Cap]:
    """A cap from ``2``, ``2x``, ``5000rows`` or ``1000000tokens``, for all sources or, after ``NAME=``, for one.

    Raises:
        StudioError: ``mix.bad_cap``.
    """
    name, equals, said = text.rpartition("=")
    amount, unit = said.strip(), "passes"
    for ending, meant in (("x", "passes"), *((unit, unit) for unit in _UNITS)):
        if amount.endswith(ending):
            amount, unit = amount.removesuffix(ending).strip(), meant
            break
    value = _number(amount, "mix.bad_cap", value=said)
    return name.strip() if equals else None, _check_cap(Cap.model_validate({"amount": value, "unit": unit}), said)


def _check_weights(sources: list[Source]) -> None:
    for source in sources:
        if source.weight is not None and not (math.isfinite(source.weight) and source.weight > 0):
            raise StudioError("mix.bad_weight", name=source.dataset, value=str(source.weight))
    without = [source.dataset for source in sources if source.weight is None]
    if without and len(without) < len(sources):
        # A size of millions of tokens beside a weight of 2 would take everything.
        raise StudioError("mix.some_weights", names=", ".join(without))


def _check_cap(cap: Cap, said: str) -> Cap:
    least = 0.0 if cap.unit == "passes" else 1.0
    if not (math.isfinite(cap.amount) and cap.amount > 0 and cap.amount >= least):
        raise StudioError("mix.bad_cap", value=said)
    return cap


def _number(text: str, code: str, **details: Any) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise StudioError(code, **details) from error
