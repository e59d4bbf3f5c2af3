"""Which rows make up each step: datasets mixed by weight, budgets turned into steps, all decided by the seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from studio.errors import StudioError
from studio.recipes import Stage

MAX_STEPS = 10_000_000  # a budget beyond this is a slip of the finger


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole order of one stage: `batches` lists row numbers, `accumulation` batches to an optimizer step."""

    batches: list[list[int]]
    steps: int


def make_plan(
    stage: Stage, sources: Sequence[int], tokens: Sequence[int], weights: Sequence[float], seed: int
) -> Plan:
    """Decide every batch of `stage` before it starts, so that a resumed run goes on exactly where it was.

    Args:
        stage: Gives batch, accumulation and budget.
        sources: For each row the number of its dataset.
        tokens: For each row its tokens.
        weights: For each dataset its share of the mix; shares are kept to within one row at any moment.
        seed: Of the order.

    Raises:
        StudioError: ``training.no_rows`` without a row; ``training.no_steps`` if the budget comes to no step.
    """
    if not sources:
        raise StudioError("training.no_rows", stage=stage.name)
    draws = draw_rows(sources, weights, seed)
    each = stage.batch * stage.accumulation
    steps = _steps(stage, len(sources), tokens, draw_rows(sources, weights, seed), each)
    if not 1 <= steps <= MAX_STEPS:
        raise StudioError("training.no_steps", stage=stage.name, steps=steps)
    batches = [list(islice(draws, stage.batch)) for _ in range(steps * stage.accumulation)]
    return Plan(batches, steps)


def draw_rows(sources: Sequence[int], weights: Sequence[float], seed: int) -> Iterator[int]:
    """Row numbers without end: the dataset furthest below its share comes next, its rows reshuffled at every pass."""
    order = random.Random(seed)
    members: list[list[int]] = [[] for _ in weights]
    for row, source in enumerate(sources):
        members[source].append(row)
    live = [source for source, rows in enumerate(members) if rows]
    total = sum(weights[source] for source in live)
    passes = {source: _passes(members[source], random.Random(order.random())) for source in live}
    taken = dict.fromkeys(live, 0)
    drawn = 0
    while True:
        drawn += 1
        source = max(live, key=lambda item: (drawn * weights[item] / total - taken[item], -item))
        taken[source] += 1
        yield next(passes[source])


def _passes(rows: list[int], order: random.Random) -> Iterator[int]:
    while True:
        order.shuffle(rows)
        yield from list(rows)


def _steps(stage: Stage, rows: int, tokens: Sequence[int], draws: Iterator[int], each: int) -> int:
    budget = stage.budget
    if budget.steps is not None:
        return budget.steps
    if budget.epochs is not None:
        return math.ceil(round(budget.epochs * rows / each, 6))
    assert budget.tokens is not None, budget
    seen = steps = 0
    while seen < budget.tokens and steps <= MAX_STEPS:
        seen += sum(tokens[row] for row in islice(draws, each))
        steps += 1
    return steps
