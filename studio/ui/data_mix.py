"""The mix section of the data tab: datasets with sliders, what they come to at once, and the button that mixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.data.mixing.order import REPLAY, SEED, parse_cap, parse_source
from studio.errors import StudioError
from studio.i18n import say
from studio.services import datasets, jobs, mixing, models, vocabulary
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.data_mix_views import estimate_view, mixing_view
from studio.ui.handlers import guarded, inform
from studio.ui.vocabulary_views import active_job
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

PANEL = "mixes"
SLIDERS = 6
LARGEST = 100
CHOICES_SECONDS = 4.0
VOCABULARY = "vocabulary:"
"""Stands before the name of a vocabulary among the choices of whose tokens count."""

_QUIET: dict[str, Any] = {**PLAIN, "show_progress": "hidden"}


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a user sets, in the order in which handlers get it."""

    sources: gr.Dropdown
    weights: list[gr.Slider]
    tokens: gr.Number
    tokenizer: gr.Dropdown
    temperature: gr.Slider
    cap: gr.Number
    seed: gr.Number
    held_out: gr.Number
    replay: gr.Number
    direction: gr.Dropdown

    @property
    def all(self) -> list[Any]:
        return [self.sources, *self.weights, self.tokens, self.tokenizer, self.temperature, self.cap, self.seed,
                self.held_out, self.replay, self.direction]  # fmt: skip


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the section."""
    return {PANEL: lambda locale, _: mixing_view(locale, studio)}


def build(locale: str, studio: Studio) -> None:
    """The section, closed until it is wanted."""
    with gr.Accordion(say(locale, "mix.title"), open=False, elem_id="mix"):
        html_block(parts.paragraph(say(locale, "mix.lead"), soft=True))
        knobs = _knobs(locale, studio)
        shown = html_block(parts.paragraph(say(locale, "mix.empty"), soft=True), elem_id="mix-shares")
        name = gr.Textbox("", label=say(locale, "mix.name"), info=say(locale, "data.name_info"), elem_id="mix-name",
                          elem_classes=["ltr"])  # fmt: skip
        with gr.Row(elem_classes=["actions"]):
            start = gr.Button(say(locale, "mix.start"), variant="primary", elem_id="mix-start")
            stop = gr.Button(say(locale, "mix.stop"), variant="stop", visible=False, elem_id="mix-stop")
        live_panel(PANEL, elem_id="mixes")
    _share_events(locale, studio, knobs, shown)
    _job_events(locale, studio, knobs, name, start, stop)


def _knobs(locale: str, studio: Studio) -> Knobs:
    def number(key: str, value: float, **options: Any) -> gr.Number:
        return gr.Number(value, label=say(locale, f"mix.{key}"), info=say(locale, f"mix.{key}_info"), **options)

    sources = gr.Dropdown(
        _names(studio), value=[], label=say(locale, "mix.sources"),
        info=say(locale, "mix.sources_info", most=SLIDERS), multiselect=True, interactive=True, elem_id="mix-sources",
    )  # fmt: skip
    weights = [
        gr.Slider(1, LARGEST, value=1, step=1, label=say(locale, "mix.weight", name=str(place)), visible=False,
                  interactive=True, buttons=[], elem_id=f"mix-weight-{place}")
        for place in range(1, SLIDERS + 1)
    ]  # fmt: skip
    with gr.Row():
        tokens = number("tokens", 0, precision=0, minimum=0, elem_id="mix-tokens")
        choices = _tokenizers(locale, studio)
        tokenizer = gr.Dropdown(
            choices, value=choices[0][1], label=say(locale, "mix.tokenizer"), info=say(locale, "mix.tokenizer_info"),
            interactive=True, allow_custom_value=True, elem_id="mix-tokenizer",
        )  # fmt: skip
    with gr.Accordion(say(locale, "knobs.advanced"), open=False):
        temperature = gr.Slider(
            0.5, 5, value=1, step=0.1, label=say(locale, "mix.temperature"), info=say(locale, "mix.temperature_info"),
            interactive=True, buttons=[], elem_id="mix-temperature",
        )  # fmt: skip
        with gr.Row():
            held_out = number("held_out", 0, minimum=0, maximum=50, elem_id="mix-held-out")
            replay = number("replay", 100 * REPLAY, minimum=0, maximum=50, elem_id="mix-replay")
        with gr.Row():
            cap = number("cap", 1, elem_id="mix-cap")
            seed = number("seed", SEED, precision=0)
        direction = gr.Dropdown(
            [(say(locale, f"mix.direction.{way}"), way) for way in ("both", "fa-en", "en-fa")], value="both",
            label=say(locale, "mix.direction"), info=say(locale, "mix.direction_info"), interactive=True,
        )  # fmt: skip
    return Knobs(sources, weights, tokens, tokenizer, temperature, cap, seed, held_out, replay, direction)


def _names(studio: Studio) -> list[str]:
    return [manifest.name for manifest in datasets.listing(studio)]


def _tokenizers(locale: str, studio: Studio) -> list[tuple[str, str]]:
    """Models and vocabularies as choices; what is on disk comes first."""
    known = list(dict.fromkeys([*models.fetched(studio), *models.choices(studio)]))
    learned = [(say(locale, "mix.vocabulary", name=name), VOCABULARY + name) for name, _ in vocabulary.listing(studio)]
    return [*((name, name) for name in known), *learned]


def _chosen(names: list[str] | str | None) -> list[str]:
    found = [names] if isinstance(names, str) and names else list(names or [])
    if len(found) > SLIDERS:
        raise StudioError("mix.too_many", most=SLIDERS)
    return found


def _ordered(studio: Studio, values: tuple[Any, ...]) -> tuple[Any, mixing.Tokenizer, list[dict[str, Any]]]:
    """The order that the knobs stand for, its tokenizer and what to know of it."""
    names, weights = _chosen(values[0]), values[1 : 1 + SLIDERS]
    tokens, counted_by, temperature, cap, seed, held_out, replay, direction = values[1 + SLIDERS :]
    chosen = counted_by or ""
    tokenizer = mixing.find_tokenizer(
        studio,
        None if chosen.startswith(VOCABULARY) else chosen,
        chosen.removeprefix(VOCABULARY) if chosen.startswith(VOCABULARY) else None,
    )
    order, warnings = mixing.make_order(
        studio,
        [
            parse_source(name if len(names) == 1 else f"{name}={weight}")
            for name, weight in zip(names, weights, strict=False)
        ],
        tokenizer,
        budget=int(tokens) if tokens else None,
        temperature=float(temperature or 0),
        caps=[parse_cap(str(cap))],
        direction=direction or "both",
        # The default of the field is the studio's own; only another number is the user's word.
        replay=None if replay in (None, 100 * REPLAY) else replay / 100,
        held_out=(held_out or 0) / 100,
        seed=int(seed or 0),
    )
    return order, tokenizer, warnings


def _share_events(locale: str, studio: Studio, knobs: Knobs, shown: gr.HTML) -> None:
    def shares(*values: Any) -> str:
        if not values[0]:
            return parts.paragraph(say(locale, "mix.empty"), soft=True)
        try:
            order, tokenizer, warnings = _ordered(studio, values)
            return estimate_view(locale, mixing.estimate(studio, order, tokenizer, warnings))
        except StudioError as error:  # no toast: the user is still choosing
            return parts.error_banner(locale, error)

    def choose(names: list[str] | str | None) -> list[Any]:
        found = _chosen(names)
        sizes = [datasets.manifest(studio, name).characters for name in found]
        sliders = [
            gr.update(label=say(locale, "mix.weight", name=name), visible=len(found) > 1,
                      value=max(1, round(LARGEST * size / max(sizes))))
            for name, size in zip(found, sizes, strict=True)
        ]  # fmt: skip
        return [*sliders, *[gr.update(visible=False)] * (SLIDERS - len(found))]

    chosen = knobs.sources.change(
        guarded(locale, choose), knobs.sources, knobs.weights, api_name="mix_choose", **_QUIET
    )
    # Of two choices in a row the second's shares come after the first's, and would be left out with Gradio's default.
    chosen.then(guarded(locale, shares), knobs.all, shown, api_name="mix_chosen", trigger_mode="always_last", **_QUIET)
    moves = [
        *(slider.input for slider in knobs.weights), knobs.temperature.input, knobs.tokens.change, knobs.cap.change,
        knobs.held_out.change, knobs.replay.change, knobs.direction.change, knobs.tokenizer.change,
    ]  # fmt: skip
    gr.on(moves, guarded(locale, shares), knobs.all, shown, api_name="mix_shares", trigger_mode="always_last",
          queue=False, **_QUIET)  # fmt: skip


def _job_events(
    locale: str, studio: Studio, knobs: Knobs, name: gr.Textbox, start: gr.Button, stop: gr.Button
) -> None:
    def begin(as_name: str | None, *values: Any) -> list[Any]:
        order, tokenizer, warnings = _ordered(studio, values)
        wanted = (as_name or "").strip() or datasets.free_name(studio, "mix")
        job = mixing.start_mix(studio, order, tokenizer, wanted, warnings)
        inform(locale, "mix.started", name=job.title)
        return ["", gr.update(visible=True)]

    def halt() -> None:
        job = active_job(studio, mixing.KIND)
        if job is None:
            raise StudioError("mix.nothing_runs")
        jobs.stop(studio, job.id)
        inform(locale, "mix.stopping")

    def refresh(names: list[str] | str | None) -> list[Any]:
        stored, chosen = _names(studio), [names] if isinstance(names, str) else list(names or [])
        left = [each for each in chosen if each in stored]
        return [
            follow_choices(stored, left, chosen),
            gr.update(choices=_tokenizers(locale, studio)),
            gr.update(placeholder=datasets.free_name(studio, "mix")),
            gr.update(visible=active_job(studio, mixing.KIND) is not None),
        ]

    start.click(guarded(locale, begin), [name, *knobs.all], [name, stop], api_name="mix_start", **PLAIN)
    stop.click(guarded(locale, halt), None, None, api_name="mix_stop", **PLAIN)
    pulse(CHOICES_SECONDS).tick(refresh, knobs.sources, [knobs.sources, knobs.tokenizer, name, stop],
                                api_name="mix_choices", queue=False, **_QUIET)  # fmt: skip
