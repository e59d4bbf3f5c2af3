"""Checkpoints that are not as they were written, that are the best, and that say when to end."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.jobs.alarms import AlarmStore
from studio.jobs.database import Database
from studio.jobs.events import HeldOutRow, MetricRow
from studio.jobs.held_out import HeldOutStore
from studio.settings import Settings
from studio.training import checkpoints, held_out, milestones
from studio.training.checkpoints import WEIGHTS, is_sound, prune, set_aside_broken, write_whole
from studio.training.curriculum import TrainResult
from studio.training.journal import open_journal
from studio.training.room import low
from tests.unit.training.test_curriculum import Killed, kill_at

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]


def write(stage: Path, step: int) -> Path:
    folder = checkpoints.checkpoint_folder(stage, step)
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_whole(folder, lambda aside: [(aside / name).write_bytes(b"x" * 999) for name in (WEIGHTS, "optimizer.pt")])
    return folder


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [cut, turn_a_bit, Path.unlink], ids=["truncated", "one bit", "gone"])
@pytest.mark.parametrize("name", [WEIGHTS, "optimizer.pt", checkpoints.SUMS])
def test_a_spoilt_file_is_noticed(tmp_path: Path, spoil: Callable[[Path], None], name: str) -> None:
    folder = write(tmp_path, 3)
    assert is_sound(folder)
    spoil(folder / name)
    assert not is_sound(folder)


def test_the_newest_sound_one_takes_the_place_of_broken_ones(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for step in (1, 2, 3, 4):
        write(tmp_path, step)
    for step in (3, 4):
        cut(checkpoints.checkpoint_folder(tmp_path, step) / WEIGHTS)
    set_aside_broken(tmp_path, lambda step, instead: told.append((step, instead)))
    assert told == [(4, 3), (3, 2)]
    assert [path.name for path in checkpoints.checkpoints(tmp_path)] == ["step-000001", "step-000002"]
    prune(tmp_path)
    assert not list(tmp_path.glob("checkpoints/broken-*"))


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in range(1, 9):
        write(tmp_path, step)
    prune(tmp_path, best=2)
    assert [checkpoints.step_of(path) for path in checkpoints.checkpoints(tmp_path)] == [2, 6, 7, 8]
    prune(tmp_path, best=8, kept=1)
    assert [checkpoints.step_of(path) for path in checkpoints.checkpoints(tmp_path)] == [8]


def test_a_run_goes_on_from_the_checkpoint_before_a_broken_one(train: Train, settings: Settings) -> None:
    _, whole = train("whole")
    with pytest.raises(Killed):
        train("cut", record=kill_at(5))  # checkpoints of steps 2 and 4
    stage = settings.runs / "cut" / "stages" / "00-chat"
    cut(checkpoints.checkpoint_folder(stage, 4) / "optimizer.pt")
    database = Database(settings.workspace / "studio.db")
    result, rest = train("cut", journal=open_journal(database, "cut"))
    assert [row.step for row in rest] == [3, 4, 5, 6]
    assert [row.loss for row in rest] == [row.loss for row in whole[2:]]
    assert result.state == "done"
    told = [alarm for alarm in AlarmStore(database).rows("cut") if alarm.kind == "checkpoint_broken"]
    assert [alarm.details for alarm in told] == [{"broken": 4, "instead": 2}]
    database.close()


def test_a_finished_stage_that_was_spoilt_is_finished_anew(train: Train, settings: Settings) -> None:
    train("a")
    stage = settings.runs / "a" / "stages" / "00-chat"
    weights = (stage / WEIGHTS).read_bytes()
    cut(stage / WEIGHTS)
    result, rows = train("a")
    assert (result.state, rows) == ("done", []), "its last checkpoint has everything"
    assert (stage / WEIGHTS).read_bytes() == weights


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Persian bits per byte that a stage shall score after a step; measured at every checkpoint."""
    figures: dict[int, float] = {}

    def score(
        self: held_out.HeldOut, spelling: object, language: str, stage: int, step: int, *_: object
    ) -> HeldOutRow:
        bits = figures[step] if language == "fa" and stage >= 0 else 1.0
        return HeldOutRow(stage, step, language, bits, 1.0, 1, 1, 1.0)

    monkeypatch.setattr(held_out.HeldOut, "_score", score)
    monkeypatch.setattr(held_out, "SHARE", 10.0**9)
    return figures


def test_a_stage_without_gain_ends_early_with_its_best(
    train: Train, settings: Settings, scored: dict[int, float]
) -> None:
    scored.update({0: 3.0, 1: 2.0, 2: 1.5, 3: 1.6, 4: 1.7, 5: 1.8, 6: 1.9, 7: 1.9, 8: 1.9})
    often = ("stages.0.budget.steps=8", "checkpoints.minutes=0.000001", "checkpoints.keep=1")
    database = Database(settings.workspace / "studio.db")
    result, rows = train("a", *often, "evaluation.patience=2", journal=open_journal(database, "a"))
    assert (result.state, rows[-1].step) == ("done", 5), "steps 3 and 4 were no better than 2; 5 was under way"
    stage = settings.runs / "a" / "stages" / "00-chat"
    best = checkpoints.checkpoint_folder(stage, 2)
    assert (stage / WEIGHTS).read_bytes() == (best / WEIGHTS).read_bytes()
    alarms = {alarm.kind: alarm.details for alarm in AlarmStore(database).rows("a")}
    assert alarms["ended_early"] == {"best": 2, "patience": 2}
    database.close()


def test_without_patience_a_person_is_told_and_the_run_goes_on(
    train: Train, settings: Settings, scored: dict[int, float]
) -> None:
    scored.update({0: 3.0, 1: 2.0, 2: 1.5, 3: 1.6, 4: 1.7, 5: 1.8, 6: 1.9, 7: 1.4, 8: 1.5})
    database = Database(settings.workspace / "studio.db")
    often = ("stages.0.budget.steps=8", "checkpoints.minutes=0.000001", "checkpoints.keep=1")
    result, _ = train("a", *often, journal=open_journal(database, "a"))
    assert result.steps == 8
    told = [alarm for alarm in AlarmStore(database).rows("a") if alarm.kind == "no_improvement"]
    assert [(alarm.step, alarm.details["best"]) for alarm in told] == [(5, 2), (6, 2)]
    stage = settings.runs / "a" / "stages" / "00-chat"
    kept = {checkpoints.step_of(path) for path in checkpoints.checkpoints(stage)}
    assert {7, 8} <= kept, "the newest, and the best of those measured"
    assert [row.bits_per_byte for row in HeldOutStore(database).rows("a") if row.language == "fa"][-1] == 1.5
    database.close()


def test_little_room_is_said_before_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**12, 0, 10**9))
    assert dict(low(tmp_path, 10**8, (10**9, 10**10))) == {}
    assert dict(low(tmp_path, 2 * 10**8, (10**9, 10**10))) == {"disk_low": {"free": 10**9, "needed": 11 * 10**8}}
    assert dict(low(tmp_path, 0, (10**8, 10**10))) == {"memory_low": {"free": 10**8, "all": 10**10}}


def test_a_run_tells_of_little_room(train: Train, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milestones.memory, "available", lambda: (1, 1000))
    database = Database(settings.workspace / "studio.db")
    train("a", "stages.0.budget.steps=2", journal=open_journal(database, "a"))
    assert "memory_low" in {alarm.kind for alarm in AlarmStore(database).rows("a")}
    database.close()
