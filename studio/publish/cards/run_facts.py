"""What a run measured, as far as the exported weights had come: stages, curves, energy, evaluations and votes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.evaluation import results, scores
from studio.evaluation.results import Evaluation, Order
from studio.evaluation.scores import Difference
from studio.evaluation.suites import Suite, load_suite
from studio.evaluation.tallies import Tally, tally
from studio.jobs.curves import COLUMNS, curve_payload
from studio.jobs.database import Database
from studio.jobs.events import BASE_STAGE, HeldOutRow, MetricRow
from studio.jobs.held_out import HeldOutStore
from studio.jobs.metrics import COLUMNS as METRICS
from studio.jobs.metrics import MetricStore
from studio.jobs.votes import VoteStore
from studio.models.reference import parse_reference
from studio.publish.cards.facts import (
    WORLD_INTENSITY,
    CurveFacts,
    EnergyFacts,
    EvaluationFacts,
    StageFacts,
    TaskFacts,
    VocabularyFacts,
)
from studio.recipes import Recipe, Stage
from studio.settings import Settings
from studio.tokenizer.vocabulary import FILE, read_vocabulary
from studio.training.checkpoints import COUNTS, WEIGHTS, checkpoint_folder, stage_folder

_PLACE = re.compile(r"(?P<number>\d+)-(?P<name>.+)")
Counted = tuple[int, int, float | None]
"""Tokens, characters and seconds of a run up to some step."""
_SERIES = ("loss", "bits_fa", "bits_en")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run an adapter was saved: the number of its stage, its name, and the step of a checkpoint."""

    run: Path
    number: int
    stage: str
    step: int | None

    @property
    def reference(self) -> str:
        """The exact reference, as votes name a model."""
        return f"run:{self.run.name}/{self.stage}" + ("" if self.step is None else f"@{self.step}")

    def holds(self, stage: int, step: int) -> bool:
        """Whether the adapter had come to this step."""
        return stage < self.number or (stage == self.number and (self.step is None or step <= self.step))


def place_of(adapter: Path, settings: Settings) -> Place | None:
    """The place of an adapter in its run; None for one that lies elsewhere."""
    runs, adapter = settings.runs.resolve(), adapter.resolve()
    parts = adapter.relative_to(runs).parts if adapter.is_relative_to(runs) else ()
    found = _PLACE.fullmatch(parts[2]) if len(parts) > 2 and parts[1] == "stages" else None
    if found is None:
        return None
    step = int(parts[4].removeprefix("step-")) if len(parts) > 4 and parts[3] == "checkpoints" else None
    return Place(runs / parts[0], int(found["number"]), found["name"], step)


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database holds of a run up to a place, and all votes that this model took part in."""

    metrics: Sequence[MetricRow] = ()
    held_out: Sequence[HeldOutRow] = ()
    votes: tuple[Tally, ...] = ()


def read_rows(place: Place, settings: Settings) -> Rows:
    """The rows of a run; none where there is no database."""
    if not settings.database.is_file():
        return Rows()
    database, run = Database(settings.database), place.run.name
    try:
        found = MetricStore(database).rows_after(run, 0, METRICS)
        metrics = [MetricRow(*row[1:]) for row in found]
        held_out = HeldOutStore(database).rows(run)
        votes = tally(VoteStore(database).counts(), lambda reference: reference == place.reference)
    finally:
        database.close()
    return Rows(
        [row for row in metrics if place.holds(row.stage, row.step)],
        [row for row in held_out if row.stage == BASE_STAGE or place.holds(row.stage, row.step)],
        tuple(votes),
    )


def base_bits(rows: Rows) -> dict[str, float]:
    """The untouched base's held-out bits per byte, by language."""
    return {row.language: row.bits_per_byte for row in rows.held_out if row.stage == BASE_STAGE}


def stage_facts(place: Place, recipe: Recipe, rows: Rows) -> tuple[StageFacts, ...]:
    """The stages up to the place; those of which nothing was counted are left out."""
    newest = {row.stage: row for row in rows.metrics}
    found: list[StageFacts] = []
    before: Counted = (0, 0, 0.0)
    for number, stage in enumerate(recipe.stages[: place.number + 1]):
        row, counts = newest.get(number), _counts(place, number, stage)
        after = counts or (before if row is None else (row.tokens, row.characters, None))
        if row is not None or counts is not None:
            # Step 0 of the first stage is the model before it learnt anything.
            measured = [each for each in rows.held_out if each.stage == number and (each.step or number)]
            bits = {each.language: each.bits_per_byte for each in measured}
            seconds = None if after[2] is None or before[2] is None else after[2] - before[2]
            steps, loss = (0, None) if row is None else (row.step, row.loss)
            tokens, characters = after[0] - before[0], after[1] - before[1]
            found.append(StageFacts(stage.name, stage.kind, steps, tokens, characters, seconds, loss, bits))
        before = after
    return tuple(found)


def run_seconds(place: Place, recipe: Recipe) -> float | None:
    """Time of all steps up to the place; None if the exported weights do not tell."""
    counts = _counts(place, place.number, recipe.stages[place.number]) if place.number < len(recipe.stages) else None
    return None if counts is None else counts[2]


def _counts(place: Place, number: int, stage: Stage) -> Counted | None:
    """What the run had counted when a stage ended, or at the exported checkpoint: tokens, characters, seconds."""
    folder = stage_folder(place.run, number, stage)
    if place.step is not None and number == place.number:
        folder = checkpoint_folder(folder, place.step)
    counts = read_json(folder / COUNTS)
    return (counts["tokens"], counts["characters"], counts["seconds"]) if counts else None


def curve_facts(place: Place, recipe: Recipe, rows: Rows) -> CurveFacts | None:
    """Points for the pictures; None where fewer than two steps were seen."""
    table = [(at, *(getattr(row, name) for name in COLUMNS)) for at, row in enumerate(rows.metrics, start=1)]
    if len(table) < 2:
        return None
    payload = curve_payload(table, held_out=rows.held_out)
    lines = {
        name: tuple(zip(map(float, series["x"]), series["y"], strict=True))
        for name in _SERIES
        if (series := payload["series"].get(name)) and len(series["x"]) > 1
    }
    names = [stage.name for stage in recipe.stages]
    starts = tuple((names[each["stage"]], each["start"]) for each in payload["stages"] if each["stage"] < len(names))
    return CurveFacts(lines, starts, base_bits(rows)) if lines else None


def energy_facts(place: Place, rows: Rows, settings: Settings) -> EnergyFacts | None:
    """Energy up to the place, and CO₂ by the owner's own figure for a kWh where there is one."""
    joules = rows.metrics[-1].energy if rows.metrics else None
    if joules is None:
        return None
    source = read_json(place.run / "energy.json").get("source")
    grams = read_json(settings.workspace / "prices.json").get("grams")
    if isinstance(grams, int | float) and grams >= 0:
        return EnergyFacts(joules, source, float(grams), own=True)
    return EnergyFacts(joules, source, WORLD_INTENSITY)


def vocabulary_facts(place: Place) -> VocabularyFacts | None:
    """What the run's own vocabulary saves; None without one."""
    if not (place.run / "vocabulary" / FILE).is_file():
        return None
    found = read_vocabulary(place.run / "vocabulary")
    if not found.words or not found.curve:
        return None
    whole = found.base_vocabulary + found.added
    return VocabularyFacts(found.added, whole, found.curve[0] / found.words, found.curve[-1] / found.words)


def evaluation_facts(adapter: Path, place: Place, base: str, settings: Settings) -> tuple[EvaluationFacts, ...]:
    """The newest evaluation of these very weights with each suite, the base's beside it if it was asked the same."""
    if not settings.evaluations.is_dir():
        return ()
    every = [found for path in sorted(settings.evaluations.iterdir(), key=_age) if (found := _evaluation(path))]
    stamp = f"@{(adapter / WEIGHTS).stat().st_mtime_ns}"
    own = {each.order.suite: each for each in every if _is_of(each.order, place, stamp)}
    facts = []
    for suite, mine in sorted(own.items()):
        same = [each for each in every if each.order.model == base and _way(each.order) == _way(mine.order)]
        facts.append(_facts(suite, mine, same[-1] if same else None, settings))
    return tuple(facts)


def _age(folder: Path) -> float:
    path = folder / results.FIGURES
    return path.stat().st_mtime if path.is_file() else 0.0


def _evaluation(folder: Path) -> Evaluation | None:
    try:
        found = results.read(folder)
    except StudioError:  # a broken one says nothing about the model
        return None
    return found if found is not None and found.finished and found.tasks else None


def _is_of(order: Order, place: Place, stamp: str) -> bool:
    # The mark ends with the time at which the weights were written: a workspace may have moved, and `run:ID` may
    # have meant another stage then.
    parsed = parse_reference(order.model)
    return parsed.scheme == "run" and parsed.name == place.run.name and order.mark.endswith(stamp)


def _way(order: Order) -> tuple[Any, ...]:
    return (order.suite_hash, order.limit, order.few_shot, order.template, order.only, tuple(sorted(order.data)))


def _facts(name: str, mine: Evaluation, base: Evaluation | None, settings: Settings) -> EvaluationFacts:
    try:
        suite: Suite | None = load_suite(name, settings)
    except StudioError:
        suite = None
    known = {} if suite is None else {task.task: task.source for task in suite.tasks}
    tasks = []
    for task, result in mine.tasks.items():
        other = None if base is None else base.tasks.get(task)
        difference = None if base is None or other is None else _difference(base, mine, task, settings)
        tasks.append(
            TaskFacts(
                task, result.metric, result.language, result.figure, result.chance, known.get(task),
                None if other is None else other.figure, difference, result.contaminated,
            )
        )  # fmt: skip
    return EvaluationFacts(name, tuple(tasks), mine.versions.get("lm-eval"))


def _difference(base: Evaluation, mine: Evaluation, task: str, settings: Settings) -> Difference | None:
    try:
        first, second = (results.read_items(settings.evaluations / each.id, task) for each in (base, mine))
        return scores.difference(first, second, mine.tasks[task].metric)
    except StudioError:  # items that are gone, or are others: then nothing is known of the difference
        return None


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file of a run says; nothing where it is missing."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    return found
