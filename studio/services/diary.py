"""The diary of a run in plain words: what happened, why it stopped, what to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.auth import owner_only
from studio.errors import StudioError
from studio.i18n import bytes_text, explain, number, say
from studio.jobs.diary import DiaryStore, Entry
from studio.jobs.events import Alarm
from studio.recipes import Recipe
from studio.services import training
from studio.services.studio import Studio

Tone = Literal["note", "good", "warn", "bad"]
_TONES: dict[str, Tone] = {"done": "good", "failed": "bad", "lost": "bad", "again": "warn", "killed": "warn"}
_SHARES, _SIZES = ("share", "limit"), ("free", "needed", "all")


@dataclass(frozen=True, slots=True)
class Line:
    """One event as it is shown: Unix seconds, a sentence, and how serious it is."""

    time: float
    text: str
    tone: Tone


@owner_only
def lines(studio: Studio, run: str, locale: str) -> list[Line]:
    """Everything that happened to a run, oldest first.

    Raises:
        StudioError: ``run.unknown``.
    """
    recipe = training.get(studio, run).recipe
    events = [Line(each.time, _event(locale, each), _TONES.get(each.kind, "note")) for each in _entries(studio, run)]
    alarms = [
        Line(each.time, f"{place(locale, recipe, each)}: {alarm_sentence(locale, each)}", "warn")
        for each in training.alarms(studio, run)
        if each.kind != "not_finite"  # the run ended with it, and the error says so
    ]
    return sorted([*events, *alarms], key=lambda line: line.time)


def _entries(studio: Studio, run: str) -> list[Entry]:
    return DiaryStore(studio.jobs.database).rows(run)


def _event(locale: str, entry: Entry) -> str:
    if "code" in entry.details:
        return explain(locale, StudioError(entry.details["code"], **entry.details.get("details", {})))
    return say(locale, f"diary.{entry.kind}", **entry.details)


@owner_only
def halved(studio: Studio, run: str, locale: str) -> str | None:
    """What to know of a run that went on by itself with half the batch; None if it did not."""
    return next((_event(locale, each) for each in _entries(studio, run) if each.kind == "again"), None)


def place(locale: str, recipe: Recipe, alarm: Alarm) -> str:
    """Where in the run an alarm was raised."""
    kind = recipe.stages[alarm.stage].kind
    return say(locale, "alarms.place", stage=say(locale, f"train.stage.{kind}"), step=alarm.step)


def alarm_sentence(locale: str, alarm: Alarm) -> str:
    """What happened and what to do."""
    details = dict(alarm.details)
    for name in _SHARES:
        if name in details:
            details[name] = say(locale, "progress.percent", percent=number(locale, 100 * details[name], 1))
    for name in _SIZES:
        if name in details:
            details[name] = bytes_text(locale, details[name])
    if "series" in details:
        details["series"] = say(locale, f"curves.{details['series']}")
    return say(locale, f"alarms.{alarm.kind}", step=alarm.step, **details)
