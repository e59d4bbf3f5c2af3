"""The history as HTML: the table of runs, one run with its note and stages, its checkpoints, what would be removed."""

from __future__ import annotations

from datetime import UTC, datetime

from studio.dates import date_text
from studio.errors import StudioError
from studio.i18n import bytes_text, number, say
from studio.recipes import NewVocabulary
from studio.services import checkpoints, history
from studio.services.checkpoints import Checkpoint, Room
from studio.services.history import PastRun, PastStage
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.parts import Markup

LANGUAGES = ("fa", "en")
COLUMNS = ("run", "state", "when", "made_of", "steps", "tokens", "loss", "bits_fa", "bits_en", "english", "note")
NUMERIC = (4, 5, 6, 7, 8, 9)
NOTE_SHOWN = 120
_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def table_view(locale: str, studio: Studio, subject: str) -> Markup:
    """A page of the history; `subject` is its number and the words to find, as ``0:first_steps``."""
    number_, _, words = subject.partition(":")
    found = history.page(studio, words, int(number_) if number_.isdecimal() else 0)
    if not found.rows and words.strip():
        return parts.paragraph(say(locale, "history.none_found", words=parts.named(words.strip())), soft=True)
    if not found.rows:
        action = parts.go_button(say(locale, "history.go_train"), "train")
        return parts.empty_state(say(locale, "history.empty_title"), say(locale, "history.empty_body"), action=action)
    headers = [say(locale, f"history.column.{name}") for name in COLUMNS]
    rows = [_row(locale, run) for run in found.rows]
    place = say(locale, "history.place", page=found.number + 1, pages=found.pages, total=found.total)
    return parts.table(rows, headers, rtl=locale == "fa", numeric=NUMERIC, caption=place)


def _row(locale: str, run: PastRun) -> list[object]:
    bits = [_before_after(locale, run, language) for language in LANGUAGES]
    return [
        _named(run),
        parts.status_pill(locale, run.state) if run.state else "—",
        moment_text(locale, run.created),
        _made_of(locale, run),
        number(locale, run.steps),
        number(locale, run.tokens),
        _figure(locale, run.loss),
        *bits,
        _change(locale, run.english_change),
        _short(run.note),
    ]


def _named(run: PastRun) -> Markup:
    title = Markup(f"<b><bdi>{parts.escape(run.title)}</bdi></b><br>") if run.title else ""
    return parts.join([title, parts.code(run.id)])


def _short(note: str) -> str:
    return note if len(note) <= NOTE_SHOWN else note[:NOTE_SHOWN].rstrip() + "…"


def _made_of(locale: str, run: PastRun) -> Markup:
    """Recipe and base, then data and vocabulary in small."""
    if run.recipe is None:
        return parts.paragraph(say(locale, "history.no_recipe"), soft=True)
    data = say(locale, "history.data", names=parts.named(", ".join(run.recipe.datasets)))
    lines = [data, _vocabulary(locale, run)]
    small = "<br>".join(parts.escape(line) for line in lines if line)
    top = parts.join([parts.code(run.recipe.name), " ", parts.code(run.recipe.base)])
    return Markup(f'{top}<br><small class="soft">{small}</small>')


def _vocabulary(locale: str, run: PastRun) -> str:
    match None if run.recipe is None else run.recipe.vocabulary:
        case None:
            return ""
        case NewVocabulary(size=size):
            return say(locale, "history.vocabulary_new", count=size)
        case name:
            return say(locale, "history.vocabulary", name=parts.named(str(name)))


def _before_after(locale: str, run: PastRun, language: str) -> object:
    before, after = run.before.get(language), run.after.get(language)
    if after is None:
        return _figure(locale, before)
    if before is None:
        return _figure(locale, after)
    figures = {"before": number(locale, before, 3), "after": number(locale, after, 3)}
    direction = "rtl" if locale == "fa" else "ltr"  # digits alone would take the arrow from left to right
    return Markup(f'<bdi dir="{direction}">{parts.escape(say(locale, "history.before_after", **figures))}</bdi>')


def _figure(locale: str, value: float | None) -> str:
    return "—" if value is None else number(locale, value, 3)


def _change(locale: str, change: float | None) -> object:
    if change is None:
        return "—"
    sign = "−" if change < 0 else "+"
    return parts.ltr(f"{sign}{say(locale, 'report.percent', percent=number(locale, abs(100 * change), 2))}")


def moment_text(locale: str, seconds: float) -> Markup:
    """Day and minute of a moment (Unix seconds) where this machine stands, the day in both calendars in Persian."""
    moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    clock = f"{moment:%H:%M}"
    day = date_text(locale, moment.isoformat())
    minute = parts.ltr(clock.translate(_DIGITS) if locale == "fa" else clock)
    return Markup(f'<span class="moment"><bdi>{day}</bdi> {minute}</span>')


def run_view(locale: str, studio: Studio, run: str) -> Markup:
    """One run: its note, its stages with their figures, and its checkpoints; nothing without a run."""
    if not run:
        return Markup("")
    found = history.get(studio, run)
    note = Markup(f'<p class="run-note" dir="auto">{parts.escape(found.note)}</p>') if found.note else ""
    body = parts.join([_made_of(locale, found), note, _stages(locale, found)])
    card = parts.card(found.name, body, note=parts.code(found.id))
    return parts.join([card, _checkpoints(locale, studio, found)])


def _stages(locale: str, run: PastRun) -> Markup:
    if not run.stages:
        return Markup("")
    names = ("stage", "steps", "tokens", "loss", "bits_fa", "bits_en")
    rows = [[say(locale, "report.base"), *["—"] * 3, *(_bits(locale, run.before, each) for each in LANGUAGES)]]
    rows += [_stage(locale, stage) for stage in run.stages]
    headers = [say(locale, f"report.column.{name}") for name in names]
    return parts.table(rows, headers, rtl=locale == "fa", numeric=tuple(range(1, len(names))))


def _stage(locale: str, stage: PastStage) -> list[str]:
    name = f"{say(locale, f'train.stage.{stage.kind}')} · {stage.name}"
    counts = [number(locale, stage.steps), number(locale, stage.tokens), _figure(locale, stage.loss)]
    return [name, *counts, *(_bits(locale, stage.bits, language) for language in LANGUAGES)]


def _bits(locale: str, bits: history.Bits, language: str) -> str:
    return _figure(locale, bits.get(language))


def _checkpoints(locale: str, studio: Studio, run: PastRun) -> Markup:
    title = say(locale, "history.checkpoints")
    try:
        found = checkpoints.listing(studio, run.id)
    except StudioError as error:
        return parts.error_banner(locale, error)
    if not found:
        return parts.card(title, parts.paragraph(say(locale, "history.no_checkpoints"), soft=True))
    names = ("stage", "step", "when", "size", "bits_fa", "bits_en", "reference")
    headers = [say(locale, f"history.checkpoint.{name}") for name in names]
    rows = [_checkpoint(locale, each) for each in found]
    whole = bytes_text(locale, sum(each.bytes for each in found))
    table = parts.table(rows, headers, rtl=locale == "fa", numeric=(1, 3, 4, 5))
    return parts.card(title, table, note=say(locale, "history.all_together", size=whole))


def _checkpoint(locale: str, checkpoint: Checkpoint) -> list[object]:
    marks = [name for name in ("best", "newest") if getattr(checkpoint, name)]
    said = [say(locale, f"history.mark.{name}") for name in (["end"] if checkpoint.end else []) + marks]
    pills = parts.join([Markup(f' <span class="pill mark">{parts.escape(word)}</span>') for word in said])
    bits = [_bits(locale, checkpoint.bits, language) for language in LANGUAGES]
    step = "—" if checkpoint.step is None else number(locale, checkpoint.step)
    name = parts.join([parts.escape(checkpoint.name), pills])
    when, size = moment_text(locale, checkpoint.time), bytes_text(locale, checkpoint.bytes)
    return [name, step, when, size, *bits, parts.code(checkpoint.reference)]


def room_view(locale: str, room: Room) -> Markup:
    """What would be removed, and how much that gives back."""
    names = ("stage", "step", "what", "size")
    headers = [say(locale, f"history.checkpoint.{name}") for name in names]
    rows = [
        [spare.name, "—" if spare.step is None else number(locale, spare.step),
         say(locale, f"history.spare.{spare.reason}"), bytes_text(locale, spare.bytes)]
        for spare in room.spares
    ]  # fmt: skip
    table = parts.table(rows, headers, rtl=locale == "fa", numeric=(1, 3))
    lead = parts.paragraph(say(locale, "history.free_question", size=bytes_text(locale, room.bytes)))
    return parts.card(say(locale, "history.free"), parts.join([lead, table]))


def delete_view(locale: str, run: PastRun, size: int, evaluations: int) -> Markup:
    """What deleting takes away, before it is done."""
    question = say(locale, "history.delete_question", name=parts.named(run.name), run=parts.named(run.id))
    what = say(locale, "history.delete_what", size=bytes_text(locale, size))
    if evaluations:
        what = f"{what} {say(locale, 'history.delete_evaluations', evaluations=evaluations)}"
    return parts.banner(question, what, tone="warn")
