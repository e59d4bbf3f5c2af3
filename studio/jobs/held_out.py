"""Held-out figures of runs, written by a training and drawn by pages."""

from __future__ import annotations

from dataclasses import asdict, fields

from sqlalchemy import text

from studio.jobs.database import Database
from studio.jobs.events import HeldOutRow

_COLUMNS = [field.name for field in fields(HeldOutRow)]


class HeldOutStore:
    """One row per language and measuring."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run: str, row: HeldOutRow) -> None:
        """Keep one row; one of the same language at or after its step, left by a worker that died, is replaced."""
        later = text(
            "DELETE FROM held_out WHERE run = :run AND language = :language"
            " AND (stage > :stage OR (stage = :stage AND step >= :step))"
        )
        names = ["run", *_COLUMNS]
        insert = text(f"INSERT INTO held_out ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})")
        with self._database.writing() as connection:
            connection.execute(later, {"run": run, "language": row.language, "stage": row.stage, "step": row.step})
            connection.execute(insert, {"run": run, **asdict(row)})

    def rows(self, run: str) -> list[HeldOutRow]:
        """All rows of `run`, oldest first."""
        query = text(f"SELECT {', '.join(_COLUMNS)} FROM held_out WHERE run = :run ORDER BY id")
        with self._database.reading() as connection:
            return [HeldOutRow(*row) for row in connection.execute(query, {"run": run})]

    def last_id(self, run: str) -> int:
        """The id of the newest row of `run`, 0 without one."""
        with self._database.reading() as connection:
            found = connection.execute(text("SELECT MAX(id) FROM held_out WHERE run = :run"), {"run": run}).scalar()
        return int(found or 0)
