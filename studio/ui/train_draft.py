"""What the form of the training tab says, stage by stage, and the recipe it comes to; no widgets here.

The fields show one stage at a time. What was changed in the others waits as `kept`: settings as ``--set`` takes them,
one to a line with a JSON value, so that it survives as it was typed, right or wrong, until its stage is shown again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from studio.errors import StudioError
from studio.recipes import Budget, NewVocabulary, Recipe, Stage, only, override
from studio.services import training

NEW = "+new"
"""The choice of a vocabulary learned for the run; no name may begin so."""

UNITS: dict[str, float] = {"steps": 60, "tokens": 1_000_000, "epochs": 1}
"""Kinds of budget, and what is offered when a stage gets another kind than its recipe gave it."""

_NUMBERS = ("rates.lora", "rates.rows", "length", "batch", "accumulation")


@dataclass(frozen=True, slots=True)
class Draft:
    """The values of the form in the order of its fields; None anywhere is what the recipe says.

    Attributes:
        recipe: Name of a preset, also ``NAME:VARIANT``.
        base: Reference of the base model.
        vocabulary: Name of one in the workspace, `NEW` for the recipe's own, empty for none.
        size: New tokens of the recipe's own vocabulary.
        stages: Names of the stages to run.
        shown: Name of the stage that the fields below show; the first if there is no such stage.
        kept: Settings of the other stages.
        datasets: Names; the recipe's own keep their weights and directions.
        budget: In `unit`.
        unit: One of `UNITS`.
        lora: Rate of the adapter.
        rows: Rate of the vocabulary's rows.
        length: Tokens of the longest sample.
        batch: Samples.
        accumulation: Batches to a step.
        rank: Of the adapter.
        seed: Of the order of data.
        more: Further settings, one to a line; they have the last word.
    """

    recipe: str
    base: str | None = None
    vocabulary: str | None = None
    size: float | None = None
    stages: Sequence[str] | None = None
    shown: str = ""
    kept: str = ""
    datasets: Sequence[str] | None = None
    budget: float | None = None
    unit: str | None = None
    lora: float | None = None
    rows: float | None = None
    length: float | None = None
    batch: float | None = None
    accumulation: float | None = None
    rank: float | None = None
    seed: float | None = None
    more: str | None = ""

    def read(self) -> Recipe:
        """The recipe as the form says it.

        Raises:
            StudioError: ``recipe.*``.
        """
        recipe = training.read_recipe(self.recipe)
        recipe = override(recipe, [*self._whole(recipe), *_lines(self._all_kept(recipe)), *_lines(self.more)])
        return recipe if self.stages is None else only(recipe, self.stages)

    def show(self, stage: str) -> Draft:
        """The same with the fields of another stage; what was typed into the present ones is kept."""
        recipe = training.read_recipe(self.recipe)
        kept = self._all_kept(recipe)
        number = _place(recipe, stage)
        rest, own = _apart(kept, number)
        fields = _fields(recipe.stages[number], {key: _parsed(key, text) for key, text in own.items()})
        return replace(self, shown=recipe.stages[number].name, kept="\n".join(rest), **fields)

    def settle(self, settings: Iterable[str]) -> Draft:
        """The same after `settings`, whose numbers count the stages that run: each goes where its field is.

        What has no field becomes one of the further settings, and no further setting contradicts them.
        """
        recipe = training.read_recipe(self.recipe)
        running = [
            at for at, stage in enumerate(recipe.stages) if self.stages is None or stage.name in self.stages
        ]  # fmt: skip
        changes: dict[str, str] = {}
        for setting in settings:
            key, _, value = setting.partition("=")
            if key.startswith("stages."):
                _, number, rest = key.split(".", 2)
                key = f"stages.{running[int(number)]}.{rest}"
            changes[key] = value
        with_fields = {key: value for key, value in changes.items() if key == "lora.rank" or key.startswith("stages.")}
        staged = [f"{key}={value}" for key, value in with_fields.items() if key != "lora.rank"]
        more = _without(_lines(self.more), changes)
        more += [f"{key}={value}" for key, value in changes.items() if key not in with_fields]
        kept = [*_without(_lines(self._all_kept(recipe)), changes), *staged]
        rank = int(changes["lora.rank"]) if "lora.rank" in changes else self.rank
        # All stages in `kept` and no field that says anything: showing the stage fills its fields from there.
        bare = {key: None for key in ("datasets", "budget", "unit", "lora", "rows", "length", "batch", "accumulation")}
        settled = replace(self, kept="\n".join(kept), rank=rank, more="\n".join(more), **bare)  # type: ignore[arg-type]
        return settled.show(self.shown)

    def _whole(self, recipe: Recipe) -> list[str]:
        found = [] if self.base is None else [f"base={json.dumps(self.base)}"]
        found += _vocabulary(recipe, self.vocabulary, self.size)
        given = {"lora.rank": self.rank, "seed": self.seed}
        return [*found, *(f"{key}={_text(value)}" for key, value in given.items() if value is not None)]

    def _all_kept(self, recipe: Recipe) -> str:
        """`kept` with what the fields say of the stage that they show."""
        number = _place(recipe, self.shown)
        changed = self._stage_settings(recipe.stages[number], f"stages.{number}")
        keys = [line.partition("=")[0] for line in changed]
        if any(".budget." in key for key in keys):
            keys += [f"stages.{number}.budget.{unit}" for unit in UNITS]
        return "\n".join([*_without(_lines(self.kept), keys), *changed])

    def _stage_settings(self, stage: Stage, place: str) -> list[str]:
        found = []
        names = [source.dataset for source in stage.data]
        if self.datasets is not None and list(self.datasets) != names:
            found.append(f"{place}.data={json.dumps(_sources(stage, self.datasets), ensure_ascii=False)}")
        unit, value = budget_of(stage.budget)
        if self.budget is not None and (self.unit or unit, self.budget) != (unit, value):
            found.append(f"{place}.budget.{self.unit or unit}={_text(self.budget)}")
        given = dict(zip(_NUMBERS, (self.lora, self.rows, self.length, self.batch, self.accumulation), strict=True))
        for key, number in given.items():
            if number is not None and number != _value(stage, key):
                found.append(f"{place}.{key}={_text(number)}")
        return found


def preset(name: str) -> Draft:
    """The form for a preset as it ships, with its first stage.

    Raises:
        StudioError: ``recipe.*``.
    """
    recipe = training.read_recipe(name)
    match recipe.vocabulary:
        case None:
            vocabulary, size = "", None
        case NewVocabulary(size=new):
            vocabulary, size = NEW, new
        case chosen:
            vocabulary, size = chosen, None
    stages = [stage.name for stage in recipe.stages]
    whole = Draft(name, recipe.base, vocabulary, size, stages, rank=recipe.lora.rank, seed=recipe.seed)
    return whole.show(stages[0])


def budget_of(budget: Budget) -> tuple[str, float]:
    """The kind of a budget and its value."""
    return next((unit, value) for unit in UNITS if (value := getattr(budget, unit)) is not None)


def _fields(stage: Stage, own: dict[str, Any]) -> dict[str, Any]:
    """The fields of `stage`; `own` are settings that it has besides its recipe, by what stands behind its place."""
    unit, value = budget_of(stage.budget)
    for key in own:
        if key.startswith("budget."):
            unit, value = key.partition(".")[2], own[key]
    sources = own.get("data", [source.model_dump() for source in stage.data])
    numbers = [own.get(key, _value(stage, key)) for key in _NUMBERS]
    return {
        "datasets": [source["dataset"] for source in sources],
        "budget": value,
        "unit": unit,
        **dict(zip(("lora", "rows", "length", "batch", "accumulation"), numbers, strict=True)),
    }


def _sources(stage: Stage, names: Sequence[str]) -> list[dict[str, Any]]:
    """Data of `stage` from chosen names; one that is new there gets as much as the others have on average."""
    known = {source.dataset: source for source in stage.data}
    weights = [known[name].weight for name in names if name in known]
    usual = sum(weights) / len(weights) if weights else 1.0
    return [
        known[name].model_dump(mode="json") if name in known else {"dataset": name, "weight": round(usual, 4)}
        for name in names
    ]


def _vocabulary(recipe: Recipe, chosen: str | None, size: float | None) -> list[str]:
    if chosen is None:
        return []
    if not chosen:
        return ["vocabulary=null"]
    if chosen != NEW:
        return [f"vocabulary={json.dumps(chosen)}"]
    own = recipe.vocabulary.size if isinstance(recipe.vocabulary, NewVocabulary) else None
    return [] if size is None or size == own else [f"vocabulary.size={_text(size)}"]


def _place(recipe: Recipe, name: str) -> int:
    return next((number for number, stage in enumerate(recipe.stages) if stage.name == name), 0)


def _apart(kept: str, number: int) -> tuple[list[str], dict[str, str]]:
    """The lines of other stages, and those of this one by what stands behind its place."""
    place, rest, own = f"stages.{number}.", [], {}
    for line in _lines(kept):
        key, _, value = line.partition("=")
        if key.startswith(place):
            own[key.removeprefix(place)] = value
        else:
            rest.append(line)
    return rest, own


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _without(lines: Sequence[str], keys: Iterable[str]) -> list[str]:
    gone = set(keys)
    return [line for line in lines if line.partition("=")[0].strip() not in gone]


def _value(stage: Stage, key: str) -> Any:
    node: Any = stage
    for part in key.split("."):
        node = getattr(node, part)
    return node


def _parsed(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:  # not ours: a caller's own
        raise StudioError("recipe.bad_setting", setting=f"{key}={text}") from error


def _text(value: Any) -> str:
    """A number as settings take it: a field tells 8 as 8.0 here and there."""
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
