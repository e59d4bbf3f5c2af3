"""The journal of a run: held-out figures and alarms beside its metric rows, and what was written before it resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studio.jobs.alarms import AlarmStore
from studio.jobs.database import Database
from studio.jobs.events import BASE_STAGE, Alarm, HeldOutRow, MetricRow
from studio.jobs.held_out import HeldOutStore
from studio.jobs.metrics import MetricStore
from studio.training.alarms import WINDOW, Watch


@dataclass(frozen=True, slots=True)
class Journal:
    """Where a run writes beside its metric rows.

    Attributes:
        held_out: Keeps a held-out figure.
        alarm: Keeps an alarm.
        watch: Sees every metric row.
        base: The base's own figures by language, if they were measured before the run was resumed.
        scores: Persian bits per byte by stage and step, as far as they were measured before it was resumed.
    """

    held_out: Callable[[HeldOutRow], None]
    alarm: Callable[[Alarm], None]
    watch: Watch
    base: Mapping[str, HeldOutRow]
    scores: Mapping[tuple[int, int], float]

    def beside(self, record: Callable[[MetricRow], None]) -> Callable[[MetricRow], None]:
        """`record`, and after it the alarms that a row gives cause for."""

        def both(row: MetricRow) -> None:
            record(row)
            for alarm in self.watch.see(row):
                self.alarm(alarm)

        return both


def open_journal(database: Database, run: str) -> Journal:
    """The journal of `run` in the studio's own tables."""
    held_out, alarms = HeldOutStore(database), AlarmStore(database)
    earlier = MetricStore(database).newest(run, 4 * WINDOW)  # a window, and the best one before it
    figures = held_out.rows(run)
    return Journal(
        lambda row: held_out.add(run, row),
        lambda alarm: alarms.add(run, alarm),
        Watch(earlier),
        {row.language: row for row in figures if row.stage == BASE_STAGE},
        {(row.stage, row.step): row.bits_per_byte for row in figures if row.language == "fa" and row.stage >= 0},
    )
