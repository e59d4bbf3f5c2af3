"""The first screen: what was found here, one button for the whole story, and what came of it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.device import Device
from studio.i18n import bytes_text, duration_text, number, say
from studio.services import jobs, runs, start, tokenizer, training
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded
from studio.ui.parts import Markup
from studio.ui.widgets import fresh_block, html_block, live_panel

PANEL = "story"
RUNS_SHOWN = 5

# LoRA in bf16: 2 bytes per weight, and about as much again for activations and the adapter at the default sizes.
BYTES_PER_PARAMETER = 4


def device_card(locale: str, device: Device) -> Markup:
    """What the studio found on this machine."""
    kind = say(locale, "start.device.gpu" if device.kind == "cuda" else "start.device.processor")
    cores = say(locale, "start.device.cores", cores=device.cores)
    free, total = bytes_text(locale, device.memory_free), bytes_text(locale, device.memory)
    billions = number(locale, device.memory_free / BYTES_PER_PARAMETER / 1e9, 1)
    rows: list[tuple[object, object]] = [
        (kind, parts.join([parts.ltr(device.name), Markup(f" · {parts.escape(cores)}")])),
        (say(locale, "start.device.driver"), device.driver or say(locale, "start.device.no_driver")),
        (say(locale, "start.device.memory"), say(locale, "start.device.free_of", free=free, total=total)),
        (
            say(locale, "start.device.four_bit"),
            parts.ltr(f"bitsandbytes {device.bitsandbytes}")
            if device.bitsandbytes
            else say(locale, "start.device.absent"),
        ),
        (say(locale, "start.device.disk"), bytes_text(locale, device.disk_free)),
        (say(locale, "start.device.fits"), say(locale, "start.device.fits_size", billions=billions)),
    ]
    idle = (
        parts.paragraph(say(locale, "start.device.idle_gpu", name=device.idle_gpu), soft=True)
        if device.idle_gpu
        else ""
    )
    return parts.card(say(locale, "start.device"), parts.join([parts.key_values(rows), idle]))


def expected_sentence(locale: str, estimate: start.Estimate) -> str:
    """How long the story will take here, with its uncertainty while nothing was measured."""
    if estimate.measured:
        return say(locale, "start.minutes_measured", seconds=duration_text(locale, estimate.seconds))
    low, high = (duration_text(locale, estimate.seconds * factor) for factor in (0.6, 1.8))
    return say(locale, "start.minutes_guess", low=low, high=high)


def story_view(locale: str, studio: Studio) -> Markup:
    """The story as far as it has come: rail, progress, figures, answers."""
    story = start.story(studio)
    if story is None:
        return _runs(locale, studio)
    rail = parts.steps_rail([(say(locale, f"start.part.{part.key}"), _rail_state(part.state)) for part in story.parts])
    shown = [parts.card(say(locale, "start.button"), parts.join([rail, _under_way(locale, story)]))]
    shown += [_results(locale, studio, story), _answers(locale, studio, story.run), _runs(locale, studio)]
    return parts.join(shown)


def _rail_state(state: str) -> str:
    named = {"done": "done", "running": "running", "stopping": "running"}
    return named.get(state, "failed" if state in ("failed", "lost", "stopped") else "todo")


def _under_way(locale: str, story: start.Story) -> Markup:
    """The bar of what runs now, or the sentence of what went wrong."""
    everything = [job for part in story.parts for job in part.jobs]
    broken = [job for job in everything if job.state in ("failed", "lost")]
    if broken:
        return parts.banner(say(locale, "banner.error"), jobs.message(locale, broken[0]), tone="bad")
    for job in everything:
        if job.state in ("running", "stopping"):
            view = jobs.view(locale, job)
            note = jobs.note(locale, job)
            return parts.progress_bar(view.progress, note, locale=locale, eta_seconds=view.eta_seconds)
    pending = [job for job in everything if job.state in ("queued", "waiting", "needs_login")]
    return parts.paragraph(jobs.message(locale, pending[0]), soft=True) if pending else Markup("")


def _results(locale: str, studio: Studio, story: start.Story) -> Markup:
    before, after = _result(story, "before"), _result(story, "after")
    merge, train = _result(story, "merge"), _result(story, "train")
    items: list[tuple[object, object, object]] = []
    cost: object = ""
    if before:
        measured = tokenizer.against_english(studio, str(before["model"]))
        fa, en = measured.persian.tokens_per_word, measured.english.tokens_per_word
        items += [
            (number(locale, fa, 2), say(locale, "start.figure.persian_words"), ""),
            (number(locale, en, 2), say(locale, "start.figure.english_words"), ""),
        ]
        cost = parts.paragraph(
            say(locale, "start.cost.sentence", parity=number(locale, measured.parity, 1)), soft=True
        )
        for language in ("fa", "en"):
            was, now = before[language], (after or before)[language]
            note = say(locale, "start.figure.from", value=number(locale, was["bits_per_byte"], 3)) if after else ""
            items.append((number(locale, now["bits_per_byte"], 3), say(locale, f"start.figure.bits_{language}"), note))
    if train and train.get("loss") is not None:
        items.append((number(locale, train["loss"], 2), say(locale, "start.figure.loss"), ""))
    if merge:
        note = say(locale, "start.figure.merged_note")
        items.append((number(locale, merge["tensors_checked"]), say(locale, "start.figure.merged"), note))
    if not items:
        return Markup("")
    body: list[object] = [parts.figures(items), cost]
    if merge:
        body += [parts.paragraph(say(locale, "start.merged_to")), parts.code(merge["out"])]
        body.append(parts.paragraph(say(locale, "start.note_honest"), soft=True))
    buttons = [parts.go_button(say(locale, "tabs.train"), "train", primary=False)]
    if after:
        buttons.append(parts.go_button(say(locale, "tabs.chat"), "chat"))
    return parts.card(say(locale, "start.results"), parts.join(body), actions=parts.join(buttons))


def _result(story: start.Story, key: str) -> dict[str, object] | None:
    done = [job for job in story.part(key).jobs if job.state == "done"]
    return done[0].result if done else None


def _answers(locale: str, studio: Studio, run: str) -> Markup:
    """Each prompt's answer before the first step and at the newest checkpoint."""
    found = training.answers(studio, run)
    last = max((answer.step for answer in found), default=0)
    if last == 0:
        return Markup("")
    shown = [
        (
            say(locale, "start.answer.before" if answer.step == 0 else "start.answer.after"),
            answer.prompt,
            answer.answer,
        )
        for answer in sorted(found, key=lambda answer: (answer.prompt, answer.step))
        if answer.step in (0, last)
    ]
    return parts.card(say(locale, "start.answers"), parts.samples(shown))


def _runs(locale: str, studio: Studio) -> Markup:
    newest = runs.listing(studio)[:RUNS_SHOWN]
    if not newest:
        return parts.card(say(locale, "start.runs"), parts.paragraph(say(locale, "start.no_runs"), soft=True))
    rows = [(parts.code(run.id), parts.status_pill(locale, run.launch.state) if run.launch else "") for run in newest]
    return parts.card(say(locale, "start.runs"), parts.key_values(rows))


def _not_kept(locale: str) -> Markup:
    actions = parts.go_button(say(locale, "tabs.publish"), "publish", primary=False)
    title, body = say(locale, "space.not_kept"), say(locale, "space.not_kept_body")
    return parts.banner(title, body, tone="warn", actions=actions)


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {PANEL: lambda locale, _: story_view(locale, studio)}


def build(locale: str, studio: Studio) -> None:
    """The screen."""

    def begin() -> str:
        return start.begin_story(studio).run

    html_block(parts.heading(say(locale, "start.title"), say(locale, "start.lead")))
    if not start.is_kept(studio):
        html_block(_not_kept(locale), elem_id="not-kept")
    with gr.Row():
        with gr.Column(scale=3):
            fresh_block(
                lambda: parts.paragraph(expected_sentence(locale, start.expected(studio))), api_name="expected_time"
            )
            button = gr.Button(say(locale, "start.button"), variant="primary", size="lg", elem_id="first-model")
            html_block(parts.paragraph(say(locale, "start.steps_explained"), soft=True))
        with gr.Column(scale=2):
            fresh_block(lambda: device_card(locale, start.device(studio)), api_name="device", elem_id="device")
    story = live_panel(PANEL, elem_id="story")
    button.click(guarded(locale, begin), outputs=story, api_name="first_story")
