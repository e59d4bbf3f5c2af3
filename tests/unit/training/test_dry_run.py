"""The longest batch tried first: it changes nothing that follows, and too little memory is said at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from studio.errors import StudioError
from studio.i18n import explain
from studio.jobs.events import MetricRow
from studio.recipes import Stage
from studio.settings import Settings
from studio.training import dry_run
from studio.training.curriculum import TrainResult
from studio.training.dry_run import try_longest
from studio.training.ranks import ALONE, Ranks

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]

STAGE = Stage.model_validate(
    {"name": "chat", "kind": "instruct", "data": [{"dataset": "x"}], "budget": {"steps": 1}, "batch": 4,
     "accumulation": 2}
)  # fmt: skip


def of(settings: Settings, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (settings.runs / run / "stages" / "00-chat" / dry_run.FILE).read_text(encoding="utf8")
    )
    return found


def test_the_losses_after_it_are_the_same(train: Train, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = ("lora.dropout=0.1", "stages.0.batch=1")
    _, without = train("without", *changes)
    assert of(settings, "without")["skipped"] == "short"
    monkeypatch.setattr(dry_run, "FEW", 0)
    _, tried = train("with", *changes)
    assert [(row.loss, row.grad_norm, row.tokens) for row in tried] == [
        (row.loss, row.grad_norm, row.tokens) for row in without
    ]
    found = of(settings, "with")
    assert found["tokens"] == of(settings, "without")["tokens"]
    assert found["seconds"] > 0
    assert found["memory_bytes"] > 50e6
    assert 0 < found["needed_bytes"] < found["free_bytes"]


def test_a_resumed_stage_tries_what_is_still_to_come(
    train: Train, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "FEW", 0)
    seen: list[MetricRow] = []
    given: list[int] = []
    real = dry_run._skipped

    def watched(lengths: Sequence[int], longest: int, *, cuda: bool) -> Any:
        given.append(len(lengths))
        return real(lengths, longest, cuda=cuda)

    monkeypatch.setattr(dry_run, "_skipped", watched)
    train("a", record=seen.append, stopping=lambda: len(seen) >= 4)
    train("a")
    assert given == [12, 4], "batches of six steps, and of the two that are left"


def run(
    folder: Path, lengths: list[int], loss_of: Callable[[Sequence[int]], torch.Tensor], ranks: Ranks = ALONE
) -> Any:
    return try_longest(
        STAGE,
        [[place] for place in range(len(lengths))],
        lengths,
        [torch.ones(10, requires_grad=True)],
        loss_of,
        folder,
        ranks,
    )


def test_a_first_batch_that_is_about_the_longest_is_the_dry_run(tmp_path: Path) -> None:
    assert run(tmp_path, [95, *[80] * 60, 100], lambda batch: pytest.fail("must not run")) is None
    assert json.loads((tmp_path / dry_run.FILE).read_text(encoding="utf8")) == {
        "tokens": 100, "skipped": "first_batch",
    }  # fmt: skip
    assert run(tmp_path, [], lambda batch: pytest.fail("must not run")) is None


class OtherTries(Ranks):
    """Beside a process whose first batch is not about its longest."""

    def total(self, *values: float) -> list[float]:
        return [value + 1 for value in values]


def test_what_another_process_tries_is_tried_here_too(tmp_path: Path) -> None:
    weight = torch.ones(1, requires_grad=True)
    found = run(tmp_path, [95, *[80] * 60, 100], lambda batch: weight.sum(), OtherTries(1, 2))
    assert found.tokens == 100
    assert not (tmp_path / dry_run.FILE).exists(), "the first process writes"


def test_the_longest_is_run_and_its_memory_measured(tmp_path: Path) -> None:
    weight = torch.ones(1, requires_grad=True)

    def loss(batch: Sequence[int]) -> torch.Tensor:
        assert list(batch) == [7]
        ones = torch.ones(30_000_000)
        two = ones * weight
        time.sleep(0.2)  # the watch looks every few milliseconds, on a busy machine seldom
        return two.sum() + torch.rand(1).sum()

    state = torch.random.get_rng_state()
    found = try_longest(STAGE, [[place] for place in range(60)], [9] * 7 + [90] + [9] * 52, [weight], loss, tmp_path)
    assert found is not None
    assert found.tokens == 90
    assert 200e6 < found.needed_bytes < 700e6, "two tables of 120 MB or three, and almost no optimizer"
    assert weight.grad is None
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_running_out_is_said_with_numbers_and_advice(tmp_path: Path, error: Exception) -> None:
    def loss(batch: Sequence[int]) -> torch.Tensor:
        raise error

    with pytest.raises(StudioError) as caught:
        run(tmp_path, [10] * 60 + [500], loss)
    assert caught.value.code == "memory.host_batch"
    details = caught.value.details
    assert (details["tokens"], details["batch"], details["accumulation"]) == (500, 2, 4)
    assert details["free"] > 0
    assert "batch to 2 and accumulation to 4" in explain("en", caught.value)


def test_an_optimizer_that_will_not_fit_is_said_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = torch.ones(1000, requires_grad=True)
    real = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: real._replace(available=7999))
    with pytest.raises(StudioError) as caught:
        try_longest(STAGE, [[0], [1]] * 30, [1, 9], [weight], lambda batch: (weight * 2).sum(), tmp_path)
    assert caught.value.code == "memory.host_batch"
    assert caught.value.details["needed"] >= 8000 > caught.value.details["free"]


def test_another_error_is_not_taken_for_memory(tmp_path: Path) -> None:
    def loss(batch: Sequence[int]) -> torch.Tensor:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        run(tmp_path, [10] * 60 + [500], loss)
