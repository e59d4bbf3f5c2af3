"""The training tab: choose a recipe, start, and watch: the board of `train_board` and the curves."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.i18n import say
from studio.recipes import Recipe, override
from studio.services import datasets, models, training
from studio.services.studio import Studio
from studio.ui import parts, train_estimate
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.plots import live_curves
from studio.ui.train_board import BOARD
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

CHOICES_SECONDS = 4.0
FIRST_RECIPE = "first_steps"
OWN_RECIPES = ("first_steps", "recommended")


def recipe_choices(locale: str) -> list[tuple[str, str]]:
    """Readable names of the recipes, the easy ones first."""
    names = sorted(training.recipe_names(), key=lambda name: (name not in OWN_RECIPES, name))
    return [(say(locale, f"recipes.{name}.title"), name) for name in names]


def recipe_view(locale: str, name: str) -> Markup:
    """What a recipe is for, its stages, and the datasets that the user has to bring."""
    recipe = training.read_recipe(name)
    rail = [(f"{say(locale, f'train.stage.{stage.kind}')} · {stage.name}", "todo") for stage in recipe.stages]
    about = parts.paragraph(say(locale, f"recipes.{name}"), soft=True)
    foreign = [each for each in recipe.datasets if each not in datasets.starter_names()]
    bring = parts.paragraph(say(locale, "train.bring", names=parts.named(", ".join(foreign))))
    return parts.join([about, parts.steps_rail(rail), bring if foreign else ""])


def changed_recipe(name: str, base: str, dataset: str, settings: dict[str, Any], more: str = "") -> Recipe:
    """A preset with the knobs of the page applied to its first stage; its own dataset, or none, keeps its mix.

    `more` holds further settings, one ``key=value`` to a line; they have the last word.
    """
    recipe = training.read_recipe(name)
    changes = [f"base={base}", *[f"{key}={value}" for key, value in settings.items() if value is not None]]
    recipe = override(recipe, changes)
    if dataset and dataset != recipe.stages[0].data[0].dataset:
        recipe = override(recipe, [f"stages.0.data=[{{dataset: {dataset}}}]"])
    return override(recipe, [line for line in (more or "").splitlines() if line.strip()])


def preset_values(locale: str, studio: Studio, name: str) -> list[Any]:
    """What the fields of the page show for a preset: base, dataset, steps, the advanced knobs, the description."""
    recipe = training.read_recipe(name)
    stage = recipe.stages[0]
    knobs = [stage.rates.lora, recipe.lora.rank, stage.length, stage.batch, stage.accumulation, recipe.seed]
    first = stage.data[0].dataset
    data = gr.update(choices=_dataset_names(studio, first), value=first)
    return [recipe.base, data, stage.budget.steps, *knobs, recipe_view(locale, name)]


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "train.title"), say(locale, "train.lead")))
    first = training.read_recipe(FIRST_RECIPE)
    stage = first.stages[0]
    with gr.Row():
        recipe = gr.Dropdown(recipe_choices(locale), value=FIRST_RECIPE, label=say(locale, "train.recipe"))
        base = gr.Dropdown(
            models.choices(studio), value=first.base, label=say(locale, "train.base"), allow_custom_value=True
        )
        dataset = gr.Dropdown(
            _dataset_names(studio),
            value=stage.data[0].dataset,
            label=say(locale, "train.dataset"),
            interactive=True,
            elem_id="train-dataset",
        )
        steps = gr.Number(stage.budget.steps, label=say(locale, "train.steps"), info=say(locale, "train.steps_info"),
                          precision=0, minimum=1, elem_id="steps")  # fmt: skip
    about = html_block(recipe_view(locale, FIRST_RECIPE), elem_id="recipe-about")
    with gr.Accordion(say(locale, "knobs.advanced"), open=False):
        with gr.Row():
            knobs = _knobs(locale, first)
        more = gr.Textbox(label=say(locale, "train.more"), info=say(locale, "train.more_info"), lines=2,
                          elem_classes=["ltr"], elem_id="train-more")  # fmt: skip
    card = train_estimate.build(locale)
    start = gr.Button(say(locale, "train.start"), variant="primary", elem_id="train-start")
    with gr.Row(elem_classes=["toolbar"]):
        run = gr.Dropdown(_run_choices(studio), value=training.current(studio), label=say(locale, "train.run"),
                          interactive=True, elem_id="run-choice")  # fmt: skip
        stop = gr.Button(say(locale, "train.stop"), variant="stop", scale=0, elem_id="train-stop")
        resume = gr.Button(say(locale, "train.resume"), scale=0, elem_id="train-resume")
    shown = [live_panel(BOARD, elem_id="board")]
    shown.append(live_curves(locale, elem_id="curves"))
    shown.append(live_panel("answers", elem_id="answers"))
    _events(locale, studio, [recipe, base, dataset, steps], knobs, more, about, start, run, stop, resume, shown)
    inputs = [recipe, base, dataset, steps, *knobs.values(), more]
    train_estimate.wire(locale, studio, card, inputs, knobs, more, _reader(knobs))


def _reader(knobs: dict[str, gr.Number]) -> train_estimate.Reader:
    """From the values of the page, in the order of its inputs, to the recipe they describe."""

    def read(recipe: str, base: str, dataset: str, steps: float | None, *values: Any) -> Recipe:
        *numbers, more = values
        settings: dict[str, Any] = {"stages.0.budget.steps": None if steps is None else int(steps)}
        settings |= dict(zip(knobs, numbers, strict=True))
        return changed_recipe(recipe, base, dataset, settings, more)

    return read


def _knobs(locale: str, recipe: Recipe) -> dict[str, gr.Number]:
    """The advanced knobs under the keys of the recipe they set."""
    stage = recipe.stages[0]
    given = {
        "stages.0.rates.lora": ("rate", stage.rates.lora, None),
        "lora.rank": ("rank", recipe.lora.rank, 0),
        "stages.0.length": ("length", stage.length, 0),
        "stages.0.batch": ("batch", stage.batch, 0),
        "stages.0.accumulation": ("accumulation", stage.accumulation, 0),
        "seed": ("seed", recipe.seed, 0),
    }
    return {
        key: gr.Number(
            value,
            label=say(locale, f"train.{name}"),
            info=say(locale, f"train.{name}_info"),
            precision=precision,
            min_width=160,
        )  # fmt: skip
        for key, (name, value, precision) in given.items()
    }


def _dataset_names(studio: Studio, named: str | None = None) -> list[str]:
    """What can be chosen; `named` stays in sight though it has yet to be imported."""
    stored = [manifest.name for manifest in datasets.listing(studio)]
    return list(dict.fromkeys([*stored, *datasets.starter_names(), *([named] if named else [])]))


def _run_choices(studio: Studio) -> list[str]:
    return [run.id for run in training.listing(studio)]


def _events(
    locale: str, studio: Studio, main: list[Any], knobs: dict[str, gr.Number], more: gr.Textbox, about: gr.HTML,
    start: gr.Button, run: gr.Dropdown, stop: gr.Button, resume: gr.Button, shown: list[gr.HTML],
) -> None:  # fmt: skip
    def begin(*values: Any) -> dict[str, Any]:
        job = training.start(studio, _reader(knobs)(*values))
        inform(locale, "train.queued", run=job.title)
        return gr.update(choices=_run_choices(studio), value=job.run)

    def halt(run_id: str | None) -> None:
        training.stop(studio, run_id or "")
        inform(locale, "train.stopping")

    def go_on(run_id: str | None) -> None:
        inform(locale, "train.resumed", run=training.resume(studio, run_id or "").title)

    def refresh(run_id: str | None, dataset: str) -> tuple[dict[str, Any], dict[str, Any]]:
        runs = _run_choices(studio)
        kept = run_id if run_id in runs else training.current(studio)
        return follow_choices(runs, kept, run_id), gr.update(choices=_dataset_names(studio, dataset))

    def show(run_id: str | None) -> list[str]:
        return [run_id or ""] * len(shown)

    recipe, base, dataset, steps = main
    start.click(guarded(locale, begin), [*main, *knobs.values(), more], run, api_name="run", **PLAIN)
    stop.click(guarded(locale, halt), run, None, api_name="stop", **PLAIN)
    resume.click(guarded(locale, go_on), run, None, api_name="resume", **PLAIN)
    run.change(show, run, shown, api_name="show_run", queue=False, **PLAIN)
    fill = guarded(locale, lambda name: [*preset_values(locale, studio, name), ""])
    recipe.input(fill, recipe, [base, dataset, steps, *knobs.values(), about, more], api_name="recipe", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        refresh, [run, dataset], [run, dataset], api_name="runs", queue=False, show_progress="hidden", **PLAIN
    )
