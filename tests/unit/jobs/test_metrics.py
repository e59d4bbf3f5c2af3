"""Metric rows come back after the last one seen, and a resumed run replaces what was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.jobs.database import Database
from studio.jobs.events import MetricRow
from studio.jobs.metrics import MetricStore


def row(step: int, loss: float, stage: int = 0) -> MetricRow:
    return MetricRow(stage, step, 100.0 + step, loss, 1.0, None, 2e-4, 10 * step, 30 * step, 5.0, 15.0, 1000)


@pytest.fixture
def metrics(tmp_path: Path) -> MetricStore:
    return MetricStore(Database(tmp_path / "studio.db"))


def test_only_rows_after_the_last_one_seen_are_read(metrics: MetricStore) -> None:
    for step in (1, 2, 3):
        metrics.add("a", row(step, 4.0 - step))
        metrics.add("b", row(step, 9.0))
    seen = metrics.rows_after("a", 0, ("step", "loss"))[1][0]
    assert [line[1:] for line in metrics.rows_after("a", seen, ("step", "loss"))] == [(3, 1.0)]
    assert metrics.latest("a") == row(3, 1.0)
    assert metrics.last_id("nothing") == 0


def test_a_resumed_run_replaces_the_rows_after_its_checkpoint(metrics: MetricStore) -> None:
    for step in (1, 2, 3, 4):
        metrics.add("a", row(step, 1.0))
    metrics.add("a", row(3, 0.5))
    assert [line[1:] for line in metrics.rows_after("a", 0, ("step", "loss"))] == [(1, 1.0), (2, 1.0), (3, 0.5)]
    metrics.add("a", row(1, 0.4, stage=1))
    assert metrics.latest("a") == row(1, 0.4, stage=1)


def test_a_column_that_does_not_exist_is_our_mistake(metrics: MetricStore) -> None:
    with pytest.raises(ValueError, match="no such metric columns"):
        metrics.rows_after("a", 0, ("loss; DROP TABLE metrics",))
