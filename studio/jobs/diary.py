"""What happened to a run and when: begun, asked to stop, stopped, lost, begun again; written as its job changes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from studio.jobs.database import Database


@dataclass(frozen=True, slots=True)
class Entry:
    """One event; `kind` is ``started``, ``resumed``, ``again``, ``stop_asked`` or the state in which the job ended.

    `time` is Unix seconds; `details` are the error's ``code`` and ``details`` where it ended with one.
    """

    time: float
    kind: str
    details: dict[str, Any]


def note_run(connection: Connection, job: int, kind: str, details: Mapping[str, Any] | None = None) -> None:
    """Write an entry within the caller's transaction, if `job` is the training of a run."""
    connection.execute(
        text("""
        INSERT INTO diary (run, time, kind, details)
        SELECT run, :now, :kind, :details FROM jobs WHERE id = :id AND kind = 'train' AND run IS NOT NULL"""),
        {"id": job, "now": time.time(), "kind": kind, "details": json.dumps(details or {}, default=str)},
    )


class DiaryStore:
    """Reads the entries of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, run: str) -> list[Entry]:
        """All entries of `run`, oldest first."""
        query = text("SELECT time, kind, details FROM diary WHERE run = :run ORDER BY id")
        with self._database.reading() as connection:
            found = connection.execute(query, {"run": run})
            return [Entry(row.time, row.kind, json.loads(row.details)) for row in found]
