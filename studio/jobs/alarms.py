"""Alarms of runs, written by a training and shown by pages."""

from __future__ import annotations

import json
from dataclasses import asdict

from sqlalchemy import text

from studio.jobs.database import Database
from studio.jobs.events import Alarm


class AlarmStore:
    """One row per alarm; those of steps that a resumed run takes again are removed by `MetricStore.add`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, run: str, alarm: Alarm) -> None:
        """Keep one alarm."""
        insert = text(
            "INSERT INTO alarms (run, stage, step, kind, time, details)"
            " VALUES (:run, :stage, :step, :kind, :time, :details)"
        )
        with self._database.writing() as connection:
            connection.execute(insert, {"run": run, **asdict(alarm), "details": json.dumps(alarm.details)})

    def rows(self, run: str) -> list[Alarm]:
        """All alarms of `run`, oldest first."""
        query = text("SELECT stage, step, kind, time, details FROM alarms WHERE run = :run ORDER BY id")
        with self._database.reading() as connection:
            found = connection.execute(query, {"run": run})
            return [Alarm(row.stage, row.step, row.kind, row.time, json.loads(row.details)) for row in found]
