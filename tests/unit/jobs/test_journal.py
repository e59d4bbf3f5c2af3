"""Held-out figures and alarms are kept by run, and those of repeated steps go."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from studio.jobs import migrations
from studio.jobs.alarms import AlarmStore
from studio.jobs.database import Database
from studio.jobs.events import Alarm, HeldOutRow, MetricRow
from studio.jobs.held_out import HeldOutStore
from studio.jobs.metrics import MetricStore


def metric(stage: int, step: int, energy: float | None = None) -> MetricRow:
    return MetricRow(stage, step, 100.0, 2.0, 1.0, None, 2e-4, 10, 30, 5.0, 15.0, 1000, energy)


def held(stage: int, step: int, language: str = "fa", bits: float = 1.5) -> HeldOutRow:
    return HeldOutRow(stage, step, language, bits, 2.5, 100, 200, 50.0)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "studio.db")


def test_each_run_gets_its_own_rows_back_in_order(database: Database) -> None:
    store, alarms = HeldOutStore(database), AlarmStore(database)
    rows = [held(-1, 0), held(-1, 0, "en"), held(0, 0), held(0, 0, "en"), held(0, 5)]
    for row in rows:
        store.add("a", row)
    store.add("b", held(0, 1))
    assert store.rows("a") == rows
    assert store.last_id("a") == 5
    alarm = Alarm(0, 3, "loss_spike", 60.0, {"value": 9.5, "series": "loss"})
    alarms.add("a", alarm)
    assert (alarms.rows("a"), alarms.rows("b")) == ([alarm], [])


def test_steps_taken_again_lose_their_figures_and_alarms(database: Database) -> None:
    store, alarms, metrics = HeldOutStore(database), AlarmStore(database), MetricStore(database)
    for row in (held(-1, 0), held(0, 0), held(0, 4), held(0, 6), held(1, 2)):
        store.add("a", row)
    for step in (3, 5):
        alarms.add("a", Alarm(0, step, "zero_loss", 0.0))
    metrics.add("a", metric(0, 5))  # resumed from the checkpoint of step 4
    assert [(row.stage, row.step) for row in store.rows("a")] == [(-1, 0), (0, 0), (0, 4)]
    assert [alarm.step for alarm in alarms.rows("a")] == [3]
    store.add("a", held(0, 4, bits=1.25))  # measured again
    assert [row.bits_per_byte for row in store.rows("a")] == [1.5, 1.5, 1.25]


def test_a_workspace_of_an_earlier_version_keeps_its_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:3])
        old = Database(tmp_path / "studio.db")
        with old.writing() as connection:
            connection.execute(
                text("INSERT INTO metrics (run, stage, step, time, tokens, characters) VALUES ('a', 0, 1, 5, 7, 9)")
            )
        old.close()
    metrics = MetricStore(Database(tmp_path / "studio.db"))
    found = metrics.latest("a")
    assert found is not None
    assert (found.tokens, found.energy) == (7, None)
    metrics.add("a", metric(0, 2, 12.5))
    assert [row.energy for row in metrics.newest("a", 5)] == [None, 12.5]
