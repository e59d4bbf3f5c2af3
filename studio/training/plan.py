"""Which rows make up each step: datasets mixed by weight, budgets turned into steps, all decided by the seed."""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from studio.errors import StudioError
from studio.recipes import Recipe, Stage

MAX_STEPS = 10_000_000  # a budget beyond this is a slip of the finger


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole order of one stage: `batches` lists row numbers, equally many batches to an optimizer step."""

    batches: list[list[int]]
    steps: int

    @property
    def accumulation(self) -> int:
        """Batches to an optimizer step."""
        return len(self.batches) // self.steps

    @property
    def sha256(self) -> str:
        """Hash of the order, by which two runs can be seen to have read the same rows in the same steps."""
        digest = hashlib.sha256(self.steps.to_bytes(8))
        for batch in self.batches:
            digest.update(array("q", [len(batch), *batch]).tobytes())
        return digest.hexdigest()


def make_plan(
    stage: Stage, sources: Sequence[int], tokens: Sequence[int], weights: Sequence[float], seed: int
) -> Plan:
    """Decide every batch of `stage` before it starts, so that a resumed run goes on exactly where it was.

    Chats come `stage.batch` to a batch. Texts (``align``, ``pretrain``) are packed: a batch takes rows until the next
    one would make it longer than `stage.batch` times `stage.length` tokens, which waits for the batch after it.

    Args:
        stage: Gives kind, batch, length, accumulation and budget.
        sources: For each row the number of its dataset.
        tokens: For each row its tokens.
        weights: For each dataset its share of the mix, of the rows of chats and of the tokens of texts; shares are
            kept to within one row at any moment.
        seed: Of the order.

    Raises:
        StudioError: ``training.no_rows`` without a row; ``training.no_steps`` if the budget comes to no step.
    """
    if not sources:
        raise StudioError("training.no_rows", stage=stage.name)
    packed = stage.kind != "instruct"
    costs = tokens if packed else [1] * len(tokens)
    room = stage.batch * stage.length if packed else stage.batch

    def batches() -> Iterator[list[int]]:
        return pack(draw_rows(sources, costs, weights, seed), costs, room)

    steps = _steps(stage, len(sources), tokens, batches())
    if not 1 <= steps <= MAX_STEPS:
        raise StudioError("training.no_steps", stage=stage.name, steps=steps)
    return Plan(list(islice(batches(), steps * stage.accumulation)), steps)


def processes(recipe: Recipe, wanted: int) -> int:
    """The most processes up to `wanted` among which every step of `recipe` can be dealt; at least one.

    Each gets equally many batches of a step. Where their number does not divide the accumulation, batches are halved
    until it does, which takes at least that many samples in a step.
    """

    def can(count: int) -> bool:
        return all(
            math.ceil(stage.accumulation / count) * count <= stage.batch * stage.accumulation
            for stage in recipe.stages
        )

    return next((count for count in range(wanted, 1, -1) if can(count)), 1)


def deal(plan: Plan, number: int, count: int) -> Plan:
    """The part of `plan` that process `number` (from 0) of `count` takes: of every step equally many batches.

    All processes together take in a step what one would: the same rows, whatever their number. Where it does not
    divide the batches of a step, the fullest ones are halved until it does.
    """
    if count == 1:
        return plan
    size = plan.accumulation
    steps = (plan.batches[start : start + size] for start in range(0, len(plan.batches), size))
    wanted = math.ceil(size / count) * count
    return Plan([batch for step in steps for batch in _halved(step, wanted)[number::count]], plan.steps)


def halve(plan: Plan, times: int) -> Plan:
    """The same steps in twice as many batches, `times` over: where memory does not do for whole ones.

    Every step has as many batches as the step that can be halved least often.
    """
    for _ in range(times):
        size = plan.accumulation
        steps = [plan.batches[start : start + size] for start in range(0, len(plan.batches), size)]
        rows = min(sum(map(len, step)) for step in steps)
        wanted = min(2 * size, rows)
        plan = Plan([batch for step in steps for batch in _halved(step, wanted)], plan.steps)
    return plan


def _halved(batches: list[list[int]], wanted: int) -> list[list[int]]:
    parts = list(batches)
    while len(parts) < wanted:
        place = max(range(len(parts)), key=lambda each: len(parts[each]))
        rows = parts[place]
        if len(rows) < 2:
            raise ValueError(f"{sum(map(len, batches))} rows cannot be dealt into {wanted} batches")
        parts[place : place + 1] = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    return parts


def pack(draws: Iterator[int], costs: Sequence[int], room: int) -> Iterator[list[int]]:
    """Batches of rows that together cost `room` at most, in the order drawn; a row that costs more stands alone."""
    batch, filled = list[int](), 0
    for row in draws:
        if batch and filled + costs[row] > room:
            yield batch
            batch, filled = [], 0
        batch.append(row)
        filled += costs[row]


def draw_rows(sources: Sequence[int], costs: Sequence[int], weights: Sequence[float], seed: int) -> Iterator[int]:
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
        row = next(passes[source])
        taken[source] += costs[row]
        drawn += costs[row] - 1
        yield row


def _passes(rows: list[int], order: random.Random) -> Iterator[int]:
    while True:
        order.shuffle(rows)
        yield from list(rows)


def _steps(stage: Stage, rows: int, tokens: Sequence[int], batches: Iterator[list[int]]) -> int:
    budget = stage.budget
    if budget.steps is not None:
        return budget.steps
    wanted, seen, count = budget.tokens, 0, 0
    if wanted is None:
        assert budget.epochs is not None, budget
        wanted = max(1, round(budget.epochs * rows))
    while seen < wanted and count <= MAX_STEPS * stage.accumulation:
        batch = next(batches)
        seen += len(batch) if budget.tokens is None else sum(tokens[row] for row in batch)
        count += 1
    return math.ceil(count / stage.accumulation)
