"""The jobs tab: the queue and its order, one job with its log and what can be done with it, and what has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import say
from studio.jobs.store import ENDED, Job
from studio.services import jobs
from studio.services.studio import Studio
from studio.ui import jobs_views, parts
from studio.ui.handlers import guarded, inform
from studio.ui.jobs_views import PAGE, choice_label, job_number, possible
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

QUEUE, JOB, HISTORY, ENDED_PANEL = "all_jobs", "job", "past_jobs", "ended"
CHOICES_SECONDS = 4.0
CHOSEN_FROM = 100
"""Waiting jobs that the field lists; any other can be typed into it by number."""
BUTTONS = ("up", "down", "first", "cancel", "stop", "end", "resume")


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen, and the endings that notices are made of."""
    return {
        QUEUE: lambda locale, _: jobs_views.queue_view(locale, studio),
        JOB: lambda locale, chosen: jobs_views.job_view(locale, studio, chosen),
        HISTORY: lambda locale, page: jobs_views.history_view(locale, studio, page),
        ENDED_PANEL: lambda locale, _: jobs_views.ended_view(locale, studio),
    }


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "jobs.title"), say(locale, "jobs.lead")))
    notice_switch(locale)
    live_panel(QUEUE, elem_id="jobs")
    found = _listed(studio)
    first = str(found[0].id) if found else None
    choice = gr.Dropdown(
        _choices(locale, found), value=first, label=say(locale, "jobs.choice"), info=say(locale, "jobs.choice_info"),
        interactive=True, allow_custom_value=True, elem_id="job-choice",
    )  # fmt: skip
    can = possible(found[0] if found else None)
    with gr.Row(elem_classes=["actions"]):
        buttons = {
            name: gr.Button(
                say(locale, f"jobs.{name}"), interactive=can[name], elem_id=f"job-{name}",
                variant="stop" if name in ("cancel", "stop", "end") else "secondary",
            )
            for name in BUTTONS
        }  # fmt: skip
    card = live_panel(JOB, first or "", elem_id="job")
    page = gr.Number(1, label=say(locale, "jobs.page"), precision=0, minimum=1, elem_id="jobs-page", scale=0)
    past = live_panel(HISTORY, "1", elem_id="past-jobs")
    _wire(locale, studio, choice, buttons, card)

    def turn(wanted: float | None) -> str:
        return str(int(wanted)) if wanted and 1 <= wanted < 1e9 else "1"

    page.change(turn, page, past, api_name="jobs_page", queue=False, **PLAIN)


def notice_switch(locale: str) -> None:
    """The switch for a notice of the browser at the end of each job; ``studio.js`` does the rest."""
    words = parts.escape(say(locale, "jobs.notify"))
    gr.HTML(
        html_template='<div class="notify"><button type="button" role="switch" aria-checked="false" data-notify>'
        f'<i aria-hidden="true"></i><span>{words}</span></button><p class="soft" role="status"></p></div>',
        js_on_load="studio.noticeSwitch(element)",
        apply_default_css=False,
        padding=False,
        elem_id="notify",
    )


def _listed(studio: Studio) -> list[Job]:
    """Jobs to choose from: what runs, what waits, what ended lately."""
    return [*jobs.under_way(studio), *jobs.queue(studio, CHOSEN_FROM), *jobs.history(studio, PAGE)]


def _choices(locale: str, found: list[Job]) -> list[tuple[str, str]]:
    return [(choice_label(locale, job), str(job.id)) for job in found]


def _wire(
    locale: str, studio: Studio, choice: gr.Dropdown, buttons: dict[str, gr.Button], card: gr.HTML
) -> None:  # fmt: skip
    def states(chosen: str | None) -> list[dict[str, Any]]:
        try:
            can = possible(jobs.show(studio, job_number(str(chosen))) if chosen else None)
        except StudioError:  # a number without a job: nothing can be done with it, and the card says so
            can = possible(None)
        return [gr.update(interactive=can[name]) for name in BUTTONS]

    def show(chosen: str | None) -> list[Any]:
        return [str(chosen or ""), *states(chosen)]

    def refresh(chosen: str | None) -> list[Any]:
        found = _listed(studio)
        value = chosen or (str(found[0].id) if found else None)
        return [follow_choices(_choices(locale, found), value, chosen), *states(value)]

    def act(name: str) -> Callable[[str | None], list[Any]]:
        def done(chosen: str | None) -> list[Any]:
            if not chosen:
                raise StudioError("job.none_chosen")
            _do(locale, studio, name, job_number(str(chosen)))
            return states(chosen)

        return done

    everything = list(buttons.values())
    choice.change(show, choice, [card, *everything], api_name="job_show", queue=False, **PLAIN)
    for name, button in buttons.items():
        button.click(guarded(locale, act(name)), choice, everything, api_name=f"job_{name}", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        refresh, choice, [choice, *everything], api_name="job_choices", queue=False, show_progress="hidden", **PLAIN
    )


def _do(locale: str, studio: Studio, name: str, job: int) -> None:
    """What a button does, and the sentence that says so."""
    title = parts.named(jobs.show(studio, job).title)
    if name in ("up", "down", "first"):
        inform(locale, "jobs.moved", title=title, place=jobs.move(studio, job, name))
    elif name == "cancel":
        jobs.cancel(studio, job)
        inform(locale, "jobs.cancelled", title=title)
    elif name == "stop":
        key = "jobs.stopped" if jobs.stop(studio, job).state in ENDED else "jobs.stopping"
        inform(locale, key, title=title)
    elif name == "end":
        jobs.end_now(studio, job)
        inform(locale, "jobs.stopped", title=title)
    else:
        jobs.resume(studio, job)
        inform(locale, "jobs.resumed", title=title)
