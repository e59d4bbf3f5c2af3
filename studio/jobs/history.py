"""What the tables know of many runs at once, in one question each, whatever the number of runs or of their steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import cast

from sqlalchemy import text

from studio.jobs.database import Database
from studio.jobs.events import HeldOutRow, MetricRow
from studio.jobs.store import State

_METRICS = [field.name for field in fields(MetricRow)]
_HELD_OUT = [field.name for field in fields(HeldOutRow)]
_TABLES = ("metrics", "held_out", "alarms", "run_notes")


@dataclass(frozen=True, slots=True)
class Launch:
    """The newest training job of a run: its state, when it was asked for and when it ended, in Unix seconds."""

    state: State
    created: float
    finished: float | None


class HistoryStore:
    """Reads the last rows of many runs, and forgets a run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def launches(self) -> dict[str, Launch]:
        """The newest training job of every run."""
        # SQLite takes plain columns beside MAX from the row that holds it: sqlite.org/lang_select.html#bareagg
        query = text(
            "SELECT run, state, created, finished, MAX(id) FROM jobs"
            " WHERE kind = 'train' AND run IS NOT NULL GROUP BY run"
        )
        with self._database.reading() as connection:
            rows = connection.execute(query)
            return {row.run: Launch(cast(State, row.state), row.created, row.finished) for row in rows}

    def last_steps(self, stages: Mapping[str, int]) -> dict[str, list[MetricRow]]:
        """The last row of each stage, by run and in the order of the stages.

        Args:
            stages: How many stages each wanted run has. Each is one look into an index: counting stages from the
                rows themselves would read every step of every run.
        """
        places = json.dumps([[run, stage] for run, count in stages.items() for stage in range(count)])
        newest = (
            "SELECT id FROM metrics WHERE run = json_extract(value, '$[0]') AND stage = json_extract(value, '$[1]')"
            " ORDER BY step DESC LIMIT 1"
        )
        names = ", ".join(f"metrics.{name}" for name in _METRICS)
        query = text(
            f"SELECT metrics.run, {names} FROM json_each(:places) JOIN metrics ON metrics.id = ({newest})"
            " ORDER BY metrics.stage"
        )
        found: dict[str, list[MetricRow]] = {}
        with self._database.reading() as connection:
            for run, *values in connection.execute(query, {"places": places}):
                found.setdefault(run, []).append(MetricRow(*values))
        return found

    def last_held_out(self, runs: Sequence[str]) -> dict[str, list[HeldOutRow]]:
        """The newest held-out row of each stage and language, by run."""
        query = text(
            f"SELECT run, {', '.join(_HELD_OUT)}, MAX(id) FROM held_out"
            " WHERE run IN (SELECT value FROM json_each(:runs)) GROUP BY run, stage, language"
        )
        found: dict[str, list[HeldOutRow]] = {}
        with self._database.reading() as connection:
            for run, *values, _ in connection.execute(query, {"runs": json.dumps(list(runs))}):
                found.setdefault(run, []).append(HeldOutRow(*values))
        return found

    def forget(self, run: str) -> None:
        """Remove what the tables hold of a deleted run; its jobs stay in the list of jobs."""
        with self._database.writing() as connection:
            for table in _TABLES:
                connection.execute(text(f"DELETE FROM {table} WHERE run = :run"), {"run": run})
            # A model of the run is run:ID/STAGE, with @STEP behind for a checkpoint.
            of_run = "substr({0}, 1, length(:start)) = :start"
            votes = f"DELETE FROM votes WHERE {of_run.format('first')} OR {of_run.format('second')}"
            connection.execute(text(votes), {"start": f"run:{run}/"})
