"""The board of a run: state, stages, figures, sample answers and log; and what runs now, for the header."""

from __future__ import annotations

from typing import Any

from studio.dates import moment_text
from studio.i18n import bytes_text, duration_text, energy_text, number, say
from studio.jobs.events import BASE_STAGE, Alarm
from studio.jobs.store import ACTIVE, PENDING
from studio.services import diary, jobs, training
from studio.services.studio import Studio
from studio.ui import parts, report_views, vocabulary_views
from studio.ui.parts import Markup

BOARD = "board"
LOG_LINES = 12
ANSWERS_SHOWN = 9
LINES_SHOWN = 30


def board_view(locale: str, studio: Studio, run_id: str) -> Markup:
    """State, stage, figures of one run; without a run, what this screen is for."""
    shown = run_id or training.current(studio)
    if not shown:
        return parts.empty_state(say(locale, "train.empty_title"), say(locale, "train.empty_body"))
    run = training.get(studio, shown)
    return parts.card(
        parts.code(run.id),
        parts.join(
            [
                _stages(locale, run),
                _state(locale, run),
                _alarms(locale, run, training.alarms(studio, shown)),
                _halved(locale, studio, shown),
                _figures(locale, studio, run),
            ]
        ),
    )


def _stages(locale: str, run: training.Run) -> Markup:
    at = -1 if run.latest is None else run.latest.stage
    done = run.job is not None and run.job.state == "done"
    rail = []
    for number_, stage in enumerate(run.recipe.stages):
        state = "done" if done or number_ < at else "running" if number_ == at else "todo"
        rail.append((f"{say(locale, f'train.stage.{stage.kind}')} · {stage.name}", state))
    return parts.steps_rail(rail)


def _state(locale: str, run: training.Run) -> Markup:
    if run.job is None:
        return Markup("")
    pill = parts.status_pill(locale, run.job.state)
    if run.job.state in ("running", "stopping"):
        bar = parts.progress_bar(
            run.job.progress, jobs.note(locale, run.job), locale=locale, eta_seconds=run.job.eta_seconds
        )
        return parts.join([pill, bar])
    sentence = jobs.message(locale, run.job)
    if run.job.state in ("failed", "lost"):
        return parts.banner(say(locale, f"states.{run.job.state}"), sentence, tone="bad")
    return parts.join([pill, parts.paragraph(sentence, soft=True) if run.job.state in PENDING else ""])


def _alarms(locale: str, run: training.Run, alarms: list[Alarm]) -> Markup:
    """The newest alarm of each kind; a loss that is no number has ended the run, and its error says so already."""
    newest = {alarm.kind: alarm for alarm in alarms if alarm.kind != "not_finite"}
    banners = []
    for alarm in newest.values():
        place = diary.place(locale, run.recipe, alarm)
        banners.append(parts.banner(place, diary.alarm_sentence(locale, alarm), tone="warn"))
    return parts.join(banners)


def _halved(locale: str, studio: Studio, run: str) -> Markup:
    told = diary.halved(studio, run, locale)
    return parts.banner(say(locale, "diary.again_title"), told, tone="warn") if told else Markup("")


def _figures(locale: str, studio: Studio, run: training.Run) -> Markup:
    row = run.latest
    if row is None:
        return Markup("")
    steps = run.recipe.stages[row.stage].budget.steps
    step = say(locale, "train.figure.step_of", step=row.step, total=steps) if steps else number(locale, row.step)
    eta = None if run.job is None else run.job.eta_seconds
    items: list[tuple[object, object, object]] = [
        (step, say(locale, "train.figure.step"), ""),
        (_number(locale, row.loss, 3), say(locale, "train.figure.loss"), ""),
        (_number(locale, row.grad_norm, 2), say(locale, "train.figure.grad_norm"), ""),
        (parts.ltr(f"{row.learning_rate:.1e}") if row.learning_rate else "—", say(locale, "train.figure.rate"), ""),
        (_number(locale, row.tokens_per_second, 0), say(locale, "train.figure.tokens"), ""),
        (_number(locale, row.characters_per_second, 0), say(locale, "train.figure.characters"), ""),
        (bytes_text(locale, row.memory) if row.memory else "—", say(locale, "train.figure.memory"), ""),
    ]
    if row.energy is not None:
        source = say(locale, f"train.energy.{training.energy_source(studio, run.id)}")
        items.append((energy_text(locale, row.energy), say(locale, "train.figure.energy"), source))
    if eta is not None:
        items.append((duration_text(locale, eta), say(locale, "train.figure.eta"), ""))
    return parts.figures([*items, *_held_out_figures(locale, studio, run.id)])


def _held_out_figures(locale: str, studio: Studio, run: str) -> list[tuple[object, object, object]]:
    """The newest held-out figure of each language, beside that of the base."""
    rows = training.held_out(studio, run)
    base = {row.language: row.bits_per_byte for row in rows if row.stage == BASE_STAGE}
    newest = {row.language: row.bits_per_byte for row in rows if row.stage != BASE_STAGE}
    items: list[tuple[object, object, object]] = []
    for language, bits in newest.items():
        note = say(locale, "train.held_out.base", value=number(locale, base[language], 3)) if language in base else ""
        items.append((number(locale, bits, 3), say(locale, f"train.held_out.{language}"), note))
    return items


def _number(locale: str, value: float | None, digits: int) -> str:
    return "—" if value is None else number(locale, value, digits)


def answers_view(locale: str, studio: Studio, run_id: str) -> Markup:
    """Sample answers, the newest checkpoint first, and the end of the log."""
    shown = run_id or training.current(studio)
    if not shown:
        return Markup("")
    found = training.answers(studio, shown)[::-1][:ANSWERS_SHOWN]
    items = [(say(locale, "train.answer_at", step=answer.step), answer.prompt, answer.answer) for answer in found]
    body = parts.samples(items) if items else parts.paragraph(say(locale, "train.answers_empty"), soft=True)
    log = parts.log_view(training.log_lines(studio, shown, LOG_LINES))
    cards = {"train.answers": body, "diary.title": _diary(locale, studio, shown), "train.log": log}
    return parts.join([parts.card(say(locale, title), inner) for title, inner in cards.items()])


def _diary(locale: str, studio: Studio, run: str) -> Markup:
    found = diary.lines(studio, run, locale)[::-1][:LINES_SHOWN]
    return parts.diary([(moment_text(locale, line.time), line.text, line.tone) for line in found])


def status_view(locale: str, studio: Studio) -> Markup:
    """What runs now, for the header of every tab."""
    active = [job for job in jobs.listing(studio, active_only=True) if job.state in ACTIVE]
    mark = vocabulary_views.state_mark(studio)
    if not active:
        return mark
    job = active[0]
    percent = say(locale, "progress.percent", percent=number(locale, int(100 * job.progress)))
    pill = parts.status_pill(locale, job.state)
    return parts.join([pill, parts.code(job.title), Markup(f" <bdi>{percent}</bdi>"), mark])


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        BOARD: lambda locale, run: board_view(locale, studio, run),
        report_views.PANEL: lambda locale, run: report_views.panel(locale, studio, run),
        "answers": lambda locale, run: answers_view(locale, studio, run),
        "status": lambda locale, _: status_view(locale, studio),
    }
