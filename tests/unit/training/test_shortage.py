"""Memory that does not do: once more by itself with half the batch, then advice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.errors import StudioError
from studio.i18n import LOCALES
from studio.jobs.burial import KILLED
from studio.jobs.metrics import MetricStore
from studio.jobs.store import Job, NewJob
from studio.recipes import dump_recipe, parse_recipe
from studio.services import diary
from studio.settings import Settings
from studio.tasks import TASKS
from studio.training import shortage, trainer
from studio.training.plan import Plan, halve
from studio.worker import _do
from tests.here import Here

STAGE = {
    "name": "chat", "kind": "instruct", "data": [{"dataset": "chats"}], "budget": {"steps": 6},
    "rates": {"lora": 2e-3}, "batch": 2, "accumulation": 2, "length": 256,
}  # fmt: skip


class Desk:
    """A studio that trains where the test sees it."""

    def __init__(self, settings: Settings) -> None:
        self.here = Here(settings)
        self.studio = self.here.studio

    def train(self, run: str, base: Path, *, killed: int = 0, **stage: Any) -> Job:
        recipe = parse_recipe({"name": "small", "base": f"local:{base}", "stages": [{**STAGE, **stage}]})
        folder = self.studio.settings.runs / run
        folder.mkdir()
        (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
        job = self.studio.jobs.add(NewJob("train", run, {"run": run, KILLED: killed}, lane="device", run=run))
        self.studio.queue.advance()
        self.here.run_all(lambda work: _do(work, TASKS["train"]))
        return self.studio.jobs.get(job)


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return Desk(settings)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Memory ends in batch `number` (from 1), so many times; each time the process would be another."""
    loss, count = trainer.StageTrainer.compute_loss, {"batches": 0, "at": 0, "left": 0}

    def compute(self: Any, *values: Any, **named: Any) -> Any:
        count["batches"] += 1
        if count["left"] and count["batches"] == count["at"]:
            count["left"], count["batches"] = count["left"] - 1, 0
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return loss(self, *values, **named)

    def end(number: int, times: int) -> None:
        count.update(batches=0, at=number, left=times)

    monkeypatch.setattr(trainer.StageTrainer, "compute_loss", compute)
    return end


def losses(desk: Desk, run: str) -> list[float]:
    return [row.loss or 0.0 for row in MetricStore(desk.studio.jobs.database).newest(run, 100)]


def test_a_run_goes_on_by_itself_with_half_the_batch(
    desk: Desk, tiny_model: Path, full: Callable[[int, int], None]
) -> None:
    assert desk.train("whole-1", tiny_model).state == "done"
    full(7, 1)  # the first batch of step 4; step 2 has the last checkpoint
    job = desk.train("short-1", tiny_model)
    assert (job.state, job.attempts, job.error) == ("done", 2, None)
    assert shortage.halvings(desk.studio.settings.runs / "short-1") == 1
    assert losses(desk, "short-1") == pytest.approx(losses(desk, "whole-1"), rel=2e-4), "the same rows"
    for locale, words in zip(LOCALES, ("نیمی از", "half"), strict=True):
        told = [line.text for line in diary.lines(desk.studio, "short-1", locale)]
        assert sum(words in line for line in told) == 1, told
    kinds = [entry.kind for entry in diary._entries(desk.studio, "short-1")]
    assert kinds == ["started", "again", "resumed", "done"]


def test_a_second_shortage_ends_with_numbers(desk: Desk, tiny_model: Path, full: Callable[[int, int], None]) -> None:
    full(3, 2)
    job = desk.train("short-1", tiny_model, batch=8, accumulation=1)
    assert (job.state, job.attempts) == ("failed", 2)
    assert job.error is not None
    assert job.error["code"] == "memory.host_still_full"
    details = job.error["details"]
    assert (details["batch"], details["accumulation"], details["length"]) == (2, 4, 128)
    assert details["free"] > 10**6
    assert [line.tone for line in diary.lines(desk.studio, "short-1", "fa")][-1] == "bad"


def test_a_run_whose_process_was_ended_goes_on_with_half_the_batch(desk: Desk, tiny_model: Path) -> None:
    assert desk.train("whole-1", tiny_model).state == "done"
    assert desk.train("short-1", tiny_model, killed=1).state == "done"
    assert shortage.halvings(desk.studio.settings.runs / "short-1") == 1
    assert losses(desk, "short-1") == pytest.approx(losses(desk, "whole-1"), rel=2e-4), "the same rows"
    assert [entry.kind for entry in diary._entries(desk.studio, "short-1")] == ["started", "again", "done"]
    again = desk.train("short-2", tiny_model, killed=1, batch=1)
    assert (again.state, (again.error or {})["code"]) == ("failed", "memory.host_still_full")


def test_single_rows_cannot_be_halved(desk: Desk, tiny_model: Path, full: Callable[[int, int], None]) -> None:
    full(2, 1)
    job = desk.train("short-1", tiny_model, batch=1)
    assert (job.state, job.attempts) == ("failed", 1)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you"), True),
        (StudioError("memory.device_batch"), True),
        (StudioError("training.not_finite"), False),
        (RuntimeError("size mismatch"), False),
    ],
)
def test_what_counts_as_a_shortage(error: Exception, expected: bool) -> None:
    assert shortage.is_shortage(error) is expected


def test_halving_keeps_the_rows_of_every_step() -> None:
    plan = Plan([[1, 2, 3], [4], [5, 6], [7, 8]], 2)
    halved = halve(plan, 1)
    assert (halved.steps, halved.accumulation) == (2, 4)
    steps = [halved.batches[:4], halved.batches[4:]]
    assert [sorted(row for batch in step for row in batch) for step in steps] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert max(len(batch) for batch in halved.batches) == 1
    assert halve(plan, 0) == plan
    assert halve(halved, 1).accumulation == 4, "no step has more than four rows"
