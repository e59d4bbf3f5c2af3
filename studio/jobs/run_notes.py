"""What the owner calls a run and what he notes about it; the run's id never changes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from studio.jobs.database import Database


@dataclass(frozen=True, slots=True)
class RunNote:
    """A display title and a note; empty where none was given."""

    title: str = ""
    note: str = ""


class RunNoteStore:
    """One row per run that has a title or a note."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, RunNote]:
        """Every title and note by run."""
        with self._database.reading() as connection:
            rows = connection.execute(text("SELECT run, title, note FROM run_notes"))
            return {row.run: RunNote(row.title, row.note) for row in rows}

    def get(self, run: str) -> RunNote:
        """Title and note of one run."""
        query = text("SELECT title, note FROM run_notes WHERE run = :run")
        with self._database.reading() as connection:
            row = connection.execute(query, {"run": run}).first()
        return RunNote() if row is None else RunNote(row.title, row.note)

    def set_title(self, run: str, title: str) -> None:
        """Call `run` so from now on; an empty title takes the old one away."""
        self._put(run, "title", title)

    def set_note(self, run: str, note: str) -> None:
        """Keep `note` in place of an older one."""
        self._put(run, "note", note)

    def _put(self, run: str, column: str, value: str) -> None:
        query = text(
            f"INSERT INTO run_notes (run, {column}) VALUES (:run, :value)"
            f" ON CONFLICT (run) DO UPDATE SET {column} = excluded.{column}"
        )
        with self._database.writing() as connection:
            connection.execute(query, {"run": run, "value": value})
