"""Blind votes on the chat page: names hidden, answers shuffled, one choice, then names and the tally."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from studio.i18n import number, say
from studio.services import votes
from studio.services.chat import Board, Column
from studio.services.report_tables import share_and_verdict
from studio.services.studio import Studio
from studio.services.votes import Ballot, Tally
from studio.ui import parts
from studio.ui.chat_columns import Showing
from studio.ui.chat_views import foot, title
from studio.ui.parts import Markup

PANEL = "votes"


def letter(locale: str, place: int) -> str:
    """What a place is called while its model has no name."""
    return say(locale, "vote.letter", letter=say(locale, "vote.letters").split()[place])


def blind(locale: str, board: Board, places: Sequence[int], count: int) -> tuple[Showing, Ballot | None]:
    """A moment without names, and at the end the ballot; with the names where a model was refused."""
    given = votes.ballot(board, places)
    if given is None and board.columns and all(column.is_over for column in board.columns):
        return Showing(board, places, named(locale, board.columns, places, count)), None
    over = sum(column.is_over for column in board.columns)
    told = given is not None or board.waiting is not None or board.loading is not None
    note = "" if told else parts.paragraph(say(locale, "vote.writing", done=over, total=len(places)), soft=True)
    labels = [letter(locale, place) for place in range(count)]
    return Showing(votes.veiled(board), places, labels, note), given


def unnamed(
    locale: str, boards: Iterator[Board], places: Sequence[int], count: int
) -> Iterator[tuple[Board, Showing, Ballot | None]]:
    """The boards, each with its `blind` moment, where that shows something new.

    Nothing of a token can be seen, and a browser needs a second to draw some hundreds of times the same.
    """
    seen = None
    for board in boards:
        now = (board.waiting, board.loading, sum(column.is_over for column in board.columns))
        if now != seen:
            yield board, *blind(locale, board, places, count)
            seen = now


def named(locale: str, columns: Sequence[Column], places: Sequence[int], count: int) -> list[str]:
    """Labels with the names that were hidden; a place without a column keeps its letter."""
    names = {place: title(column.reference) for place, column in zip(places, columns, strict=True)}
    return [
        f"{letter(locale, place)} · {parts.named(names[place])}" if place in names else letter(locale, place)
        for place in range(count)
    ]


def choices(locale: str, ballot: Ballot) -> list[tuple[str, str]]:
    """What can be voted, as a radio takes it."""
    equal_or_bad = [(say(locale, f"vote.{choice}"), choice) for choice in (votes.EQUAL, votes.BAD)]
    return [*[(letter(locale, place), str(place)) for place in ballot.places], *equal_or_bad]


def asking(locale: str, ballot: Ballot | None) -> Any:
    """The radio with the choices of a ballot, hidden and empty without one.

    It is emptied only out of sight: a browser that is slow to draw would take back what a person has just chosen.
    """
    if ballot is None:
        return gr.update(visible=False, value=None)
    return gr.update(visible=True, choices=choices(locale, ballot))


def told(locale: str, ballot: Ballot, choice: str) -> Markup:
    """What was voted, with the name of the winner."""
    if choice in (votes.EQUAL, votes.BAD):
        return parts.paragraph(say(locale, f"vote.told_{choice}"))
    winner = dict(zip(map(str, ballot.places), ballot.columns, strict=True))[choice]
    return parts.paragraph(say(locale, "vote.told", name=parts.named(title(winner.reference))))


def feet(locale: str, ballot: Ballot, count: int) -> list[Markup]:
    """What stood hidden below the answers: flags and speeds."""
    at = dict(zip(ballot.places, ballot.columns, strict=True))
    return [foot(locale, at[place]) if place in at else Markup("") for place in range(count)]


def tally_view(locale: str, studio: Studio) -> Markup:
    """Votes so far, a line for each pair of models."""
    found = votes.tally(studio)
    if not found:
        return parts.paragraph(say(locale, "vote.none"), soft=True)
    headers = [say(locale, f"vote.column.{name}")
               for name in ("model", "against", "wins", "losses", "equal", "bad", "share", "says")]  # fmt: skip
    rows = [_row(locale, pair) for pair in found]
    table = parts.table(rows, headers, rtl=locale == "fa", numeric=(2, 3, 4, 5))
    return parts.join([table, parts.paragraph(say(locale, "vote.how"), soft=True)])


def _row(locale: str, pair: Tally) -> list[object]:
    counts = [number(locale, value) for value in (pair.wins, pair.losses, pair.equal, pair.bad)]
    names = [parts.ltr(title(pair.model)), parts.ltr(title(pair.against))]
    return [*names, *counts, *share_and_verdict(locale, pair)]
