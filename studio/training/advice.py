"""What to change in a recipe that does not fit: the least loss first, and only what brings it into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from studio.recipes import Recipe, Stage, override
from studio.training.estimate import Estimate

SHORTEST = 128
"""Tokens below which no length is proposed: a chat in Persian letters would lose its answer."""

LOWEST_RANK = 4

Estimator = Callable[[Recipe], Estimate]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to change; `stage` is the name of the stage it belongs to, empty for the whole recipe."""

    kind: Literal["batch", "length", "nf4", "rank"]
    stage: str
    value: int
    accumulation: int = 0


@dataclass(frozen=True, slots=True)
class Advice:
    """Changes that make a recipe fit, as ``--set`` takes them, and what it takes then."""

    settings: tuple[str, ...]
    changes: tuple[Change, ...]
    estimate: Estimate


def advise(recipe: Recipe, measure: Estimator, free: int, *, four_bits: bool = True) -> Advice | None:
    """The first combination that fits into `free` bytes; None if none does.

    In this order, each on top of the one before: batches in smaller pieces (the same samples to a step), shorter
    samples, the base in four bits, a narrower adapter.

    Args:
        recipe: Does not fit as it is.
        measure: Estimates a recipe.
        free: Bytes.
        four_bits: Whether the base can be held in four bits here.
    """
    quantisations = ["none", "nf4"] if recipe.quantisation == "none" and four_bits else [recipe.quantisation]
    for rank in _halves(recipe.lora.rank, LOWEST_RANK):
        for quantisation in quantisations:
            whole: list[Change] = []
            if rank != recipe.lora.rank:
                whole.append(Change("rank", "", rank))
            if quantisation != recipe.quantisation:
                whole.append(Change("nf4", "", 4))
            found = _stages(recipe, whole, measure, free)
            if found is not None:
                settings = _settings(recipe, found)
                return Advice(tuple(settings), tuple(found), measure(override(recipe, settings)))
    return None


def _stages(recipe: Recipe, whole: list[Change], measure: Estimator, free: int) -> list[Change] | None:
    """`whole` and what each stage needs besides; None if a stage does not fit whatever is done to it."""
    changes = list(whole)
    for number, stage in enumerate(recipe.stages):
        for of_stage in _candidates(stage):
            tried = measure(override(recipe, _settings(recipe, [*whole, *of_stage])))
            if tried.stages[number].memory_bytes <= free:
                changes += of_stage
                break
        else:
            return None
    return changes


def _candidates(stage: Stage) -> list[list[Change]]:
    samples = stage.batch * stage.accumulation
    batches = [batch for batch in range(stage.batch, 0, -1) if samples % batch == 0]
    found = []
    for length in _halves(stage.length, SHORTEST):
        for batch in batches:
            changes = []
            if batch != stage.batch:
                changes.append(Change("batch", stage.name, batch, samples // batch))
            if length != stage.length:
                changes.append(Change("length", stage.name, length))
            found.append(changes)
    return found


def _halves(value: int, lowest: int) -> list[int]:
    found = [value]
    while found[-1] // 2 >= lowest:
        found.append(found[-1] // 2)
    return found


def _settings(recipe: Recipe, changes: list[Change]) -> list[str]:
    places = {stage.name: number for number, stage in enumerate(recipe.stages)}
    found = []
    for change in changes:
        match change.kind:
            case "batch":
                place = f"stages.{places[change.stage]}"
                found += [f"{place}.batch={change.value}", f"{place}.accumulation={change.accumulation}"]
            case "length":
                found.append(f"stages.{places[change.stage]}.length={change.value}")
            case "nf4":
                found.append("quantisation=nf4")
            case "rank":
                found.append(f"lora.rank={change.value}")
    return found
