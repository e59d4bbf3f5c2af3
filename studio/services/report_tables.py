"""Tables of a report as plain cells, once for page and Markdown: how answers are written, and blind votes."""

from __future__ import annotations

from dataclasses import dataclass

from studio.evaluation.generation import RUN
from studio.i18n import number, say
from studio.services.reports import Report
from studio.services.votes import Tally
from studio.services.written import Written


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption above and what to know about it below."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def written_table(locale: str, report: Report) -> Table | None:
    """Measures of the sample answers, a row for each moment; None without answers."""
    if not report.written:
        return None
    columns = ("when", "answers", "characters", "persian", "repetition", "half_spaces", "recited", "empty")
    notes = [say(locale, "written.note", run=RUN)]
    if report.against is None:
        notes.append(say(locale, "written.texts_gone"))
    elif not report.against.whole:
        notes.append(say(locale, "written.texts_part", characters=report.against.characters))
    return Table(
        say(locale, "written.title"),
        tuple(say(locale, f"written.column.{name}") for name in columns),
        tuple(_moment(locale, report, each) for each in report.written),
        " ".join(notes),
    )


def _moment(locale: str, report: Report, found: Written) -> tuple[str, ...]:
    name = "" if found.stage is None else report.stages[found.stage].name
    when = say(locale, "report.before") if found.stage is None else say(locale, "report.after", stage=name)
    unknown = say(locale, "cost.unknown")
    return (
        when,
        number(locale, found.answers),
        number(locale, found.characters, 0),
        _percent(locale, found.persian),
        number(locale, found.repetition, 2),
        "—" if found.half_spaces is None else _percent(locale, found.half_spaces),
        unknown if found.recited is None else number(locale, found.recited),
        number(locale, found.empty),
    )


def vote_table(locale: str, report: Report) -> Table | None:
    """Blind votes about the run's models; None without one."""
    if not report.votes:
        return None
    columns = ("model", "against", "wins", "losses", "equal", "bad", "share", "says")
    return Table(
        say(locale, "vote.tally"),
        tuple(say(locale, f"vote.column.{name}") for name in columns),
        tuple(_pair(locale, each) for each in report.votes),
        say(locale, "vote.how"),
    )


def _pair(locale: str, pair: Tally) -> tuple[str, ...]:
    counts = (number(locale, value) for value in (pair.wins, pair.losses, pair.equal, pair.bad))
    return (_name(pair.model), _name(pair.against), *counts, *share_and_verdict(locale, pair))


def share_and_verdict(locale: str, pair: Tally) -> tuple[str, str]:
    """The share of wins with its interval, and what that shows."""
    if pair.share is None:
        return "—", say(locale, "vote.says.nothing")
    low, high = (number(locale, round(100 * end)) for end in pair.interval)
    share = say(locale, "vote.share", share=number(locale, round(100 * pair.share)), low=low, high=high)
    says = "same" if not pair.shows_difference else "better" if pair.share > 0.5 else "worse"
    return share, say(locale, f"vote.says.{says}")


def _name(reference: str) -> str:
    """A base on somebody's disk by its folder: its path says something about its owner."""
    return f"local:{reference.rpartition('/')[2]}" if reference.startswith("local:") else reference


def _percent(locale: str, share: float) -> str:
    return say(locale, "report.percent", percent=number(locale, 100 * share, 1))
