"""The form of the training tab: recipe, base and vocabulary, the stages one at a time, and the advanced knobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr

from studio.i18n import say
from studio.recipes import NewVocabulary, Recipe
from studio.services import datasets, models, training, vocabulary
from studio.services.recipes import names as recipe_names
from studio.services.studio import Studio
from studio.ui import parts, train_draft
from studio.ui.handlers import guarded
from studio.ui.parts import Markup
from studio.ui.train_draft import NEW, UNITS, Draft
from studio.ui.widgets import LATEST, html_block

FIRST_RECIPE = "first_steps"
OWN_RECIPES = ("first_steps", "recommended")
OF_STAGE = ("shown", "kept", "datasets", "budget", "unit", "lora", "rows", "length", "batch", "accumulation")
"""Fields that another stage changes."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields by the names that `Draft` gives their values, and what stands around them."""

    fields: dict[str, Any]
    stage: gr.Radio
    about: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """All fields in the order of `Draft`, whose values every handler takes."""
        return [self.fields[each.name] for each in fields(Draft)]

    def read(self, *values: Any) -> Recipe:
        """The recipe as the values of the page stand, in the order of `inputs`."""
        return Draft(*values).read()

    @property
    def filled(self) -> list[Any]:
        """The fields that another recipe fills, its own first."""
        return [*self.inputs, self.stage, self.about]

    @property
    def settled(self) -> list[Any]:
        """The fields that `settle` gives new values."""
        return [self.fields[name] for name in (*OF_STAGE, "rank", "more")]

    def settle(self, settings: Sequence[str], *values: Any) -> list[Any]:
        """Values of `settled` after `settings`, each put where its field is."""
        draft = Draft(*values).settle(settings)
        return [getattr(draft, name) for name in (*OF_STAGE, "rank", "more")]


def build(locale: str, studio: Studio) -> Form:
    """The form, filled with the first recipe."""
    draft = train_draft.preset(FIRST_RECIPE)
    recipe = training.read_recipe(FIRST_RECIPE)
    found: dict[str, Any] = {}
    with gr.Row():
        found |= _whole(locale, studio, draft, recipe)
    about = html_block(recipe_view(locale, FIRST_RECIPE), elem_id="recipe-about")
    several = len(recipe.stages) > 1
    names = stage_choices(locale, recipe)
    found["stages"] = gr.CheckboxGroup(
        names, value=list(draft.stages or ()), label=say(locale, "train.which_stages"), visible=several,
        info=say(locale, "train.which_stages_info"), elem_id="train-stages",
    )  # fmt: skip
    stage = gr.Radio(names, value=draft.shown, label=say(locale, "train.of_stage"), visible=several,
                     info=say(locale, "train.of_stage_info"), elem_id="train-stage")  # fmt: skip
    with gr.Row():
        found |= _stage(locale, studio, draft)
    with gr.Accordion(say(locale, "knobs.advanced"), open=False, elem_id="train-advanced"):
        with gr.Row():
            found |= _stage_knobs(locale, draft, recipe)
        with gr.Row():
            found |= {name: _knob(locale, name, getattr(draft, name)) for name in ("rank", "seed")}
        found["more"] = gr.Textbox(label=say(locale, "train.more"), info=say(locale, "train.more_info"), lines=2,
                                   elem_classes=["ltr"], elem_id="train-more")  # fmt: skip
    # What the page must remember for itself: the stage whose fields stand there, and what was changed in the others.
    found["shown"] = gr.Textbox(draft.shown, visible=False)
    found["kept"] = gr.Textbox(draft.kept, lines=2, visible=False)
    return Form(found, stage, about)


def _whole(locale: str, studio: Studio, draft: Draft, recipe: Recipe) -> dict[str, Any]:
    return {
        "recipe": gr.Dropdown(
            recipe_choices(locale), value=FIRST_RECIPE, label=say(locale, "train.recipe"), elem_id="train-recipe"
        ),
        "base": gr.Dropdown(
            models.choices(studio), value=draft.base, label=say(locale, "train.base"), allow_custom_value=True
        ),
        "vocabulary": gr.Dropdown(
            vocabulary_choices(locale, studio, recipe, draft.base or "", draft.vocabulary or ""),
            value=draft.vocabulary,
            label=say(locale, "train.vocabulary"),
            elem_id="train-vocabulary",
        ),
        "size": gr.Number(
            draft.size,
            label=say(locale, "train.size"),
            precision=0,
            minimum=1,
            visible=draft.vocabulary == NEW,
            elem_id="train-size",
        ),  # fmt: skip
    }


def _stage(locale: str, studio: Studio, draft: Draft) -> dict[str, Any]:
    return {
        "datasets": gr.Dropdown(
            dataset_names(studio, draft.datasets or ()),
            value=list(draft.datasets or ()),
            label=say(locale, "train.datasets"),
            info=say(locale, "train.datasets_info"),
            multiselect=True,
            elem_id="train-datasets",
        ),
        "budget": gr.Number(
            draft.budget,
            label=say(locale, "train.budget"),
            info=say(locale, "train.budget_info"),
            elem_id="steps",
            min_width=160,
        ),  # fmt: skip
        "unit": gr.Dropdown(
            [(say(locale, f"train.unit.{unit}"), unit) for unit in UNITS],
            value=draft.unit,
            label=say(locale, "train.unit"),
            info=say(locale, "train.unit_info"),
            elem_id="train-unit",
            min_width=160,
        ),  # fmt: skip
    }


def _stage_knobs(locale: str, draft: Draft, recipe: Recipe) -> dict[str, Any]:
    seen = visible_rates(recipe, 0)
    return {
        name: _knob(locale, name, getattr(draft, name), visible=seen.get(name, True))
        for name in ("lora", "rows", "length", "batch", "accumulation")
    }


def _knob(locale: str, name: str, value: Any, *, visible: bool = True) -> gr.Number:
    key = {"lora": "rate", "rows": "rows_rate"}.get(name, name)
    return gr.Number(value, label=say(locale, f"train.{key}"), info=say(locale, f"train.{key}_info"), min_width=160,
                     visible=visible, elem_id=f"train-{name}")  # fmt: skip


def wire(locale: str, studio: Studio, form: Form) -> None:
    """Let the recipe fill the fields, the stage change them, and units and vocabularies follow."""

    def fill(name: str) -> list[Any]:
        return recipe_updates(locale, studio, name)

    def show(stage: str, *values: Any) -> list[Any]:
        draft = Draft(*values).show(stage)
        return stage_updates(studio, training.read_recipe(draft.recipe), draft)

    def unit_changed(unit: str, name: str, shown: str) -> float:
        own = train_draft.preset(name).show(shown)
        return own.budget if own.unit == unit and own.budget is not None else UNITS.get(unit, 1)

    def vocabulary_changed(chosen: str) -> dict[str, Any]:
        return gr.update(visible=chosen == NEW)

    at = form.fields
    # Gradio's dropdown says `input` twice for one choice, and the second answer would undo what was typed meanwhile.
    at["recipe"].select(guarded(locale, fill), at["recipe"], form.filled[1:], api_name="recipe", **LATEST)
    form.stage.input(guarded(locale, show), [form.stage, *form.inputs], [at[name] for name in OF_STAGE],
                     api_name="stage", **LATEST)  # fmt: skip
    at["unit"].select(
        guarded(locale, unit_changed), [at["unit"], at["recipe"], at["shown"]], at["budget"], api_name="budget_unit",
        **LATEST,
    )  # fmt: skip
    at["vocabulary"].input(
        guarded(locale, vocabulary_changed), at["vocabulary"], at["size"], api_name="train_vocabulary", **LATEST
    )


def recipe_updates(locale: str, studio: Studio, name: str) -> list[Any]:
    """What everything after the recipe becomes for another one."""
    recipe = training.read_recipe(name)
    names, draft = stage_choices(locale, recipe), train_draft.preset(name)
    chosen = gr.update(choices=names, value=draft.shown, visible=len(names) > 1)
    return [*form_updates(locale, studio, recipe, draft), chosen, recipe_view(locale, name)]


def form_updates(locale: str, studio: Studio, recipe: Recipe, draft: Draft) -> list[Any]:
    """What the fields after the recipe become for another draft."""
    names = stage_choices(locale, recipe)
    offered = vocabulary_choices(locale, studio, recipe, draft.base or "", draft.vocabulary or "")
    return [
        draft.base,
        gr.update(choices=offered, value=draft.vocabulary),
        gr.update(value=draft.size, visible=draft.vocabulary == NEW),
        gr.update(choices=names, value=list(draft.stages or ()), visible=len(names) > 1),
        *stage_updates(studio, recipe, draft),
        draft.rank,
        draft.seed,
        draft.more,
    ]


def stage_updates(studio: Studio, recipe: Recipe, draft: Draft) -> list[Any]:
    """What the fields of `OF_STAGE` become for the stage that `draft` shows."""
    place = next(number for number, stage in enumerate(recipe.stages) if stage.name == draft.shown)
    seen = visible_rates(recipe, place)
    chosen = list(draft.datasets or ())
    return [
        draft.shown,
        draft.kept,
        gr.update(choices=dataset_names(studio, chosen), value=chosen),
        draft.budget,
        draft.unit,
        gr.update(value=draft.lora, visible=seen["lora"]),
        gr.update(value=draft.rows, visible=seen["rows"]),
        draft.length,
        draft.batch,
        draft.accumulation,
    ]


def visible_rates(recipe: Recipe, place: int) -> dict[str, bool]:
    """Which rates have an effect in a stage: of what does not learn there, none."""
    stage = recipe.stages[place]
    return {"lora": stage.trains_lora, "rows": recipe.vocabulary is not None and stage.rows != "frozen"}


def recipe_choices(locale: str) -> list[tuple[str, str]]:
    """Readable names of the recipes, the easy ones first, variants below their recipe."""
    names = sorted(recipe_names(with_variants=True), key=lambda name: (name not in OWN_RECIPES, name))
    return [(say(locale, f"recipes.{name}.title"), name) for name in names]


def stage_choices(locale: str, recipe: Recipe) -> list[tuple[str, str]]:
    """The stages of a recipe by kind and name."""
    return [(stage_title(locale, stage.kind, stage.name), stage.name) for stage in recipe.stages]


def stage_title(locale: str, kind: str, name: str) -> str:
    """What a stage is called on the pages."""
    return f"{say(locale, f'train.stage.{kind}')} · {name}"


def vocabulary_choices(locale: str, studio: Studio, recipe: Recipe, base: str, chosen: str) -> list[tuple[str, str]]:
    """None, the recipe's own that is learned for the run, and those of the workspace that fit `base`."""
    found = [(say(locale, "train.vocabulary_none"), "")]
    if isinstance(recipe.vocabulary, NewVocabulary):
        found.append((say(locale, "train.vocabulary_new"), NEW))
    for name, content in vocabulary.listing(studio):
        if content.base == base or name == chosen:
            tokens = say(locale, "train.vocabulary_tokens", name=parts.named(name), count=content.added)
            found.append((tokens, name))
    if chosen not in {value for _, value in found}:
        found.append((chosen, chosen))
    return found


def form_choices(
    locale: str, studio: Studio, name: str, base: str, words: str, chosen: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Vocabularies and datasets as they are by now, for a clock: choices only, never what is chosen."""
    offered = vocabulary_choices(locale, studio, training.read_recipe(name), base, words)
    return gr.update(choices=offered), gr.update(choices=dataset_names(studio, chosen or ()))


def dataset_names(studio: Studio, chosen: Sequence[str] = ()) -> list[str]:
    """What can be chosen; what is chosen stays in sight though it has yet to be imported."""
    stored = [manifest.name for manifest in datasets.listing(studio)]
    return list(dict.fromkeys([*stored, *datasets.starter_names(), *chosen]))


def recipe_view(locale: str, name: str) -> Markup:
    """What a recipe is for, its stages, its new tokens, and the datasets that the user has to bring."""
    recipe = training.read_recipe(name)
    rail = [(stage_title(locale, stage.kind, stage.name), "todo") for stage in recipe.stages]
    foreign = [each for each in recipe.datasets if each not in datasets.starter_names()]
    bring = parts.paragraph(say(locale, "train.bring", names=parts.named(", ".join(foreign))))
    return parts.join(
        [parts.paragraph(_about(locale, name), soft=True), parts.steps_rail(rail), bring if foreign else ""]
    )


def _about(locale: str, name: str) -> str:
    if name in recipe_names(with_variants=True):
        return say(locale, f"recipes.{name}")
    return say(locale, "train.copied", run=parts.named(Path(name).stem))
