"""What a training will take, shown before it starts: memory by part, weights, time and disk, and what to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import bytes_text, duration_text, number, say
from studio.recipes import Recipe
from studio.services import estimates
from studio.services.estimates import Before
from studio.services.studio import Studio
from studio.training.estimate import StageEstimate
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.train_form import Form
from studio.ui.widgets import PLAIN, html_block


@dataclass(frozen=True, slots=True)
class Card:
    """The card, and the button that applies its advice."""

    view: gr.HTML
    apply: gr.Button


def build(locale: str) -> Card:
    """The card, empty until `wire` fills it."""
    view = html_block(elem_id="estimate")
    return Card(view, gr.Button(say(locale, "estimate.apply"), visible=False, elem_id="estimate-apply"))


def wire(locale: str, studio: Studio, card: Card, form: Form) -> None:
    """Keep the card fresh and let its button set the fields of the form."""

    def show(*values: Any) -> tuple[str, dict[str, Any]]:
        return card_update(locale, studio, lambda: form.read(*values))

    def apply(*values: Any) -> list[Any]:
        found = estimates.before(studio, form.read(*values))
        settings = () if found.advice is None else found.advice.settings
        inform(locale, "estimate.applied")
        return form.settle(settings, *values)

    inputs, shown = form.inputs, [card.view, card.apply]
    quiet = {"show_progress": "hidden", **PLAIN}
    gr.on(None, show, inputs, shown, api_name="estimate_open", queue=False, **quiet)
    gr.on([each.change for each in inputs], show, inputs, shown, api_name="estimate", trigger_mode="always_last",
          **quiet)  # fmt: skip
    card.apply.click(guarded(locale, apply), inputs, form.settled, api_name="estimate_apply", **PLAIN)


def card_update(locale: str, studio: Studio, read: Callable[[], Recipe]) -> tuple[str, dict[str, Any]]:
    """The card for the recipe that `read` makes, and whether its button shows; a fault is said in the card."""
    try:
        found = estimates.before(studio, read())
    except StudioError as error:
        absent = error.code == "model.not_fetched"
        body = parts.paragraph(say(locale, "estimate.absent"), soft=True) if absent else parts.error_banner(
            locale, error
        )  # fmt: skip
        return parts.card(say(locale, "estimate.title"), body), gr.update(visible=False)
    return estimate_view(locale, found), gr.update(visible=found.advice is not None)


def estimate_view(locale: str, found: Before) -> Markup:
    """A bar of memory for each stage against what is free, the figures that decide, and advice if it does not fit."""
    whole = found.estimate
    most = max(whole.memory_bytes, whole.free_bytes)
    bars = [_stage(locale, stage, whole.free_bytes, most) for stage in whole.stages]
    body = [*bars, _legend(locale, whole.stages), _figures(locale, found)]
    if whole.left_out:
        names = say(locale, "estimate.and").join(say(locale, f"estimate.left_out.{name}") for name in whole.left_out)
        body.append(parts.paragraph(say(locale, "estimate.left_out", names=names), soft=True))
    if whole.parts > 1:
        body.append(parts.paragraph(say(locale, "estimate.parts", cards=number(locale, whole.parts)), soft=True))
    if not whole.fits:
        title = say(locale, "estimate.too_much", needed=bytes_text(locale, whole.memory_bytes),
                    free=bytes_text(locale, whole.free_bytes))  # fmt: skip
        body.append(parts.banner(title, estimates.advice_sentence(locale, found), tone="warn"))
    return parts.card(say(locale, "estimate.title"), parts.join(body), note=say(locale, "estimate.note"))


def _stage(locale: str, stage: StageEstimate, free: int, most: int) -> Markup:
    pieces = [(part, size) for part, size in stage.memory.items() if size]
    said = say(locale, "estimate.bar", stage=f"{say(locale, f'train.stage.{stage.kind}')} · {parts.named(stage.name)}",
               memory=bytes_text(locale, stage.memory_bytes), free=bytes_text(locale, free))  # fmt: skip
    details = say(locale, "estimate.comma").join(
        f"{say(locale, f'estimate.part.{part}')}: {bytes_text(locale, size)}" for part, size in pieces
    )
    filled = "".join(
        f'<i class="part-{part}" style="inline-size:{100 * size / most:.2f}%" title="{parts.escape(name)}"></i>'
        for part, size in pieces
        for name in [f"{say(locale, f'estimate.part.{part}')}: {bytes_text(locale, size)}"]
    )
    mark = f'<b style="inset-inline-start:{100 * free / most:.2f}%"></b>' if stage.memory_bytes > free else ""
    return Markup(
        f'<figure class="stacked"><figcaption>{parts.escape(said)}</figcaption>'
        f'<div class="bar" role="img" aria-label="{parts.escape(f"{said} {details}")}">{filled}{mark}</div></figure>'
    )


def _legend(locale: str, stages: tuple[StageEstimate, ...]) -> Markup:
    """The parts with their sizes in the hungriest stage."""
    memory = max(stages, key=lambda stage: stage.memory_bytes).memory
    shown = "".join(
        f'<li><i class="part-{part}" aria-hidden="true"></i>{parts.escape(say(locale, f"estimate.part.{part}"))} '
        f'<bdi class="soft">{parts.escape(bytes_text(locale, size))}</bdi></li>'
        for part, size in memory.items()
        if size
    )
    return Markup(f'<ul class="legend">{shown}</ul>')


def _figures(locale: str, found: Before) -> Markup:
    whole = found.estimate
    hungriest = max(whole.stages, key=lambda stage: stage.trainable)
    share = say(locale, "estimate.of_all", all=number(locale, hungriest.parameters),
                percent=number(locale, 100 * hungriest.trainable / hungriest.parameters, 2))  # fmt: skip
    seconds = whole.seconds
    time = say(locale, "estimate.no_time") if seconds is None else duration_text(locale, seconds)
    why = say(locale, "estimate.time_unknown" if seconds is None else "estimate.time_known")
    return parts.figures(
        [
            (number(locale, hungriest.trainable), say(locale, "estimate.trainable"), share),
            (time, say(locale, "estimate.time"), why),
            (bytes_text(locale, whole.disk_bytes), say(locale, "estimate.disk"), say(locale, "estimate.disk_note")),
        ]
    )
