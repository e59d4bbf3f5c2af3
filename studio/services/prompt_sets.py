"""Fixed Persian prompts put to several models at once: `presets/prompts.yaml`, by subject."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

import yaml

from studio.auth import owner_only
from studio.chat.requests import Sampling
from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.services import chat
from studio.services.chat import Board, Column
from studio.services.history_csv import cell
from studio.services.studio import Studio
from studio.settings import PRESETS


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt and what every model said to it, in the order of the models."""

    subject: str
    prompt: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """All rows that are whole, out of `total`; `board` is the prompt that is being answered now."""

    models: tuple[str, ...]
    total: int
    rows: tuple[Row, ...] = ()
    board: Board = field(default_factory=Board)


@cache
def subjects() -> Mapping[str, tuple[str, ...]]:
    """The prompts of every subject, in the order of the file."""
    read = yaml.safe_load((PRESETS / "prompts.yaml").read_text(encoding="utf8"))
    return MappingProxyType({subject: tuple(prompts) for subject, prompts in read.items()})


def prompts_of(chosen: Sequence[str]) -> list[tuple[str, str]]:
    """Subject and prompt, for each prompt of the `chosen` subjects, in the order of the file.

    Raises:
        StudioError: ``prompts.no_subject`` when none is chosen, ``prompts.unknown_subject``.
    """
    known = subjects()
    if not chosen:
        raise StudioError("prompts.no_subject")
    for subject in chosen:
        if subject not in known:
            raise StudioError("prompts.unknown_subject", subject=subject, known=", ".join(known))
    return [(subject, prompt) for subject in known if subject in chosen for prompt in known[subject]]


@owner_only
def ask_all(
    studio: Studio, models: Sequence[str], chosen: Sequence[str], sampling: Sampling, *, system: str = "", name: str,
    stopping: Stopping = lambda: False,
) -> Iterator[Table]:  # fmt: skip
    """Put every prompt of the `chosen` subjects to all `models`, each prompt a conversation of its own.

    Yields what a page shows, again and again. A stop of the answers called `name` ends it, and so does `stopping`,
    which is looked at before each prompt; the prompt that was under way is left out.

    Raises:
        StudioError: As `prompts_of` and `studio.services.chat.talk`, and what every model refused.
    """
    asked = prompts_of(chosen)
    table = Table(tuple(models), len(asked))
    yield table
    for subject, prompt in asked:
        if stopping():
            return
        columns = [Column(model) for model in models]
        for board in chat.talk(studio, columns, prompt, sampling, system=system, name=name):
            table = replace(table, board=board)
            yield table
        columns = table.board.columns
        if _stopped(columns):
            return
        if (errors := [column.refused for column in columns if column.refused]) and len(errors) == len(columns):
            raise errors[0]
        table = replace(table, rows=(*table.rows, Row(subject, prompt, tuple(columns))), board=Board())
        yield table


def as_csv(table: Table) -> str:
    """The table for a spreadsheet: a line per prompt, and for every model its answer, its flags and its speed.

    Flags are written as ``repetition=0.43 half_spaces=2``. No cell is a formula to a spreadsheet.
    """
    told = io.StringIO()
    lines = csv.writer(told)
    parts = ("", " flags", " tokens/s")
    lines.writerow(["subject", "prompt", *[cell(model + part) for model in table.models for part in parts]])
    for row in table.rows:
        answers = [value for column in row.columns for value in _cells(column)]
        lines.writerow([cell(value) for value in (row.subject, row.prompt, *answers)])
    return told.getvalue()


def _cells(column: Column) -> tuple[str, str, str]:
    if column.refused is not None or column.finished is None:
        return (column.refused.code if column.refused else "", "", "")
    found = " ".join(f"{flag.kind}={flag.value:.3g}" for flag in column.flags)
    return column.finished.text, found, f"{column.finished.tokens_per_second:.1f}"


def _stopped(columns: Sequence[Column]) -> bool:
    return any(not column.is_over or (column.finished and column.finished.reason == "stopped") for column in columns)
