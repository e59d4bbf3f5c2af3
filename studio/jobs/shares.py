"""What the owner shows to visitors: models to talk to and reports of runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import text

from studio.jobs.database import Database

Kind = Literal["model", "report"]


class ShareStore:
    """One row per thing shared: the reference of a model, or the id of a run whose report may be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, kind: Kind, names: Sequence[str]) -> None:
        """Share exactly `names` of a kind from now on."""
        with self._database.writing() as connection:
            connection.execute(text("DELETE FROM shares WHERE kind = :kind"), {"kind": kind})
            for name in dict.fromkeys(names):
                row = {"kind": kind, "name": name, "since": time.time()}
                connection.execute(text("INSERT INTO shares (kind, name, since) VALUES (:kind, :name, :since)"), row)

    def names(self, kind: Kind) -> list[str]:
        """What is shared of a kind, in the order the owner gave."""
        query = text("SELECT name FROM shares WHERE kind = :kind ORDER BY rowid")
        with self._database.reading() as connection:
            return [str(name) for name in connection.execute(query, {"kind": kind}).scalars()]
