"""Blind votes: models answer unnamed and shuffled, a person judges, and what is judged is tallied."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

from studio.auth import owner_only
from studio.chat.requests import Message
from studio.errors import StudioError
from studio.evaluation import tallies
from studio.evaluation.tallies import Tally as Tally
from studio.jobs.votes import Vote, Winner
from studio.models.files import locate
from studio.services.chat import Board, Column
from studio.services.studio import Studio

EQUAL, BAD = "equal", "bad"


@dataclass(frozen=True, slots=True)
class Ballot:
    """Answers to be judged, in the order in which they are shown, and the places where they stand, from 0."""

    columns: tuple[Column, ...]
    places: tuple[int, ...]

    @property
    def choices(self) -> list[str]:
        """What can be voted: the place of an answer, ``equal`` or ``bad``."""
        return [*map(str, self.places), EQUAL, BAD]


def shuffled(references: Sequence[str]) -> list[str]:
    """The models in an order that nobody can foresee.

    Raises:
        StudioError: ``votes.needs_two`` without two different models, or with one twice: its vote would mean nothing.
    """
    if len(references) < 2 or len(set(references)) < len(references):
        raise StudioError("votes.needs_two")
    return random.SystemRandom().sample(references, len(references))


def veiled(board: Board) -> Board:
    """A board that tells no model from another: answers only once all are whole, and nothing about how they came.

    The speed at which a text grows would tell a model with an expanded vocabulary from its base.
    """
    whole = all(column.is_over for column in board.columns)
    columns = [
        replace(
            column,
            reference="",
            messages=column.messages if whole else _asked(column),
            finished=None,
            refused=None,
            has_template=True,
        )
        for column in board.columns
    ]
    return replace(board, columns=columns)


def ballot(board: Board, places: Sequence[int]) -> Ballot | None:
    """What can be voted on once every column has answered; None before, and where one was refused."""
    if not board.columns or any(column.finished is None or column.refused is not None for column in board.columns):
        return None
    return Ballot(tuple(board.columns), tuple(places))


@owner_only
def cast(studio: Studio, given: Ballot | None, choice: str | None) -> None:
    """Keep a vote: the best of two answers or more, or that they are equal, or that all are bad.

    The best one of four has beaten three; about the pairs among those the vote says nothing.

    Raises:
        StudioError: ``votes.nothing_to_judge`` without a ballot, ``votes.bad_choice``, and what locating raises.
    """
    if given is None:
        raise StudioError("votes.nothing_to_judge")
    if choice not in given.choices:
        raise StudioError("votes.bad_choice")
    names = [_exact(studio, column.reference) for column in given.columns]
    base = locate(given.columns[0].reference, studio.settings).base
    found = []
    for (one, first), (other, second) in combinations(zip(map(str, given.places), names, strict=True), 2):
        meaning: dict[str, Winner] = {EQUAL: "equal", BAD: "bad", one: "first", other: "second"}
        if choice in meaning:
            found.append(Vote(base, first, second, meaning[choice], given.columns[0].question))
    studio.votes.add(found)


@owner_only
def tally(studio: Studio, run: str | None = None) -> list[Tally]:
    """Votes by pair: models against their base first, then models against each other.

    Args:
        studio: The studio.
        run: Only pairs with a model of this run.
    """
    return tallies.tally(studio.votes.counts(), lambda reference: run is None or _is_of(reference, run))


def as_json(found: Tally) -> dict[str, object]:
    """A tally with its share and interval; both are null before a vote has decided something."""
    low, high = found.interval if found.decided else (None, None)
    return {**asdict(found), "share": found.share, "low": low, "high": high,
            "difference_shown": bool(found.decided) and found.shows_difference}  # fmt: skip


def _asked(column: Column) -> tuple[Message, ...]:
    return tuple(message for message in column.messages if message.role == "user")


def _is_of(reference: str, run: str) -> bool:
    return reference.startswith(f"run:{run}/")


def _exact(studio: Studio, reference: str) -> str:
    """The stage, or the step, that a run's reference means now: the run itself moves on while it trains."""
    files = locate(reference, studio.settings)
    if files.adapter is None:
        return files.reference
    run, _, stage, *checkpoint = files.adapter.relative_to(studio.settings.runs).parts
    step = f"@{int(checkpoint[-1].partition('-')[2])}" if checkpoint else ""
    return f"run:{run}/{stage.partition('-')[2]}{step}"
