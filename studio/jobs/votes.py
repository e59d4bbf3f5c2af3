"""Blind votes: of two models that answered the same prompt unnamed, which one a person found better."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import text

from studio.jobs.database import Database

Winner = Literal["first", "second", "equal", "bad"]
"""Which of a pair was better; ``equal`` and ``bad`` (neither is any good) decide nothing."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What a vote says about one pair: exact references (a run's with its stage) over the same `base`."""

    base: str
    first: str
    second: str
    winner: Winner
    prompt: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many votes about a pair went one way."""

    base: str
    first: str
    second: str
    winner: Winner
    votes: int


class VoteStore:
    """One row per pair that a vote says something about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, votes: Sequence[Vote]) -> None:
        """Keep what one vote says about its pairs, all or nothing."""
        query = text(
            "INSERT INTO votes (time, base, first, second, winner, prompt)"
            " VALUES (:time, :base, :first, :second, :winner, :prompt)"
        )
        now = time.time()
        with self._database.writing() as connection:
            for vote in votes:
                row = {"base": vote.base, "first": vote.first, "second": vote.second, "winner": vote.winner}
                connection.execute(query, {**row, "prompt": vote.prompt, "time": now})

    def counts(self) -> list[Counted]:
        """All votes, counted by pair and winner, the pairs in the order of their first vote."""
        query = text(
            "SELECT base, first, second, winner, COUNT(*) AS votes FROM votes"
            " GROUP BY base, first, second, winner ORDER BY MIN(id)"
        )
        with self._database.reading() as connection:
            rows = connection.execute(query)
            return [Counted(row.base, row.first, row.second, cast(Winner, row.winner), row.votes) for row in rows]
