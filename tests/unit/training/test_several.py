"""Two processes over gloo come to what one comes to, and end together."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from studio.errors import StudioError
from studio.jobs.events import MetricRow
from studio.models.files import locate
from studio.recipes import override, parse_recipe
from studio.services import jobs, training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings, cards_shown, load_settings, show_card
from studio.training import several
from studio.training.plan import Plan, deal, processes
from studio.training.several import TrainResult
from tests.unit.training.test_stages import ALIGN, INSTRUCT

PRETRAIN = (
    "{name: pretrain, kind: pretrain, data: [{dataset: texts}], budget: {steps: 4}, "
    "rates: {lora: 2.0e-3, rows: 1.0e-3}, batch: 2, accumulation: 3, length: 64}"
)
RECIPE = {
    "name": "small",
    "stages": [
        {"name": "chat", "kind": "instruct", "data": [{"dataset": "chats"}], "budget": {"steps": 4}, "length": 256}
    ],
}
Several = Callable[..., tuple[TrainResult, list[MetricRow]]]


@pytest.fixture
def several_train(settings: Settings, tiny_model: Path) -> Several:
    """Train ``runs/<name>`` in `count` processes, up to Stop after `stop_after` rows."""

    def run(
        name: str, count: int, *changes: str, stop_after: int | None = None
    ) -> tuple[TrainResult, list[MetricRow]]:
        recipe = override(parse_recipe({**RECIPE, "base": f"local:{tiny_model}"}), changes)
        rows: list[MetricRow] = []
        result = several.train(
            settings.runs / name,
            recipe,
            locate(recipe.base, settings),
            replace(settings, processes=count),
            record=rows.append,
            progress=lambda fraction, note: None,
            stopping=lambda: stop_after is not None and len(rows) >= stop_after,
            dtype=torch.float32,
        )
        return result, rows

    return run


def test_two_processes_come_to_the_losses_of_one(
    several_train: Several, settings: Settings, words: Callable[[str], Path]
) -> None:
    stages = f"stages=[{ALIGN}, {PRETRAIN}, {INSTRUCT}]"
    for name in ("one", "two"):
        words(name)
    (one, alone), (two, shared) = several_train("one", 1, stages), several_train("two", 2, stages)
    assert (one.state, one.steps) == (two.state, two.steps) == ("done", 9)
    keys = ("stage", "step", "tokens", "characters", "learning_rate")
    assert [[getattr(row, key) for key in keys] for row in shared] == [
        [getattr(row, key) for key in keys] for row in alone
    ]
    for row, expected in zip(shared, alone, strict=True):
        assert row.loss == pytest.approx(expected.loss, rel=1e-5)
        assert row.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4, abs=1e-7)
        if expected.grad_norm_new is not None:
            assert row.grad_norm_new == pytest.approx(expected.grad_norm_new, rel=1e-4)
    kept = [settings.runs / name / "stages" / "02-chat" for name in ("two", "one")]
    for file in ("adapter_model.safetensors", "new_rows.safetensors"):
        ours, theirs = (load_file(folder / file) for folder in kept)
        for key in theirs:
            torch.testing.assert_close(ours[key], theirs[key], rtol=1e-3, atol=1e-5)
    answers = [
        len((settings.runs / name / "samples.jsonl").read_text(encoding="utf8").splitlines())
        for name in ("one", "two")
    ]
    assert answers[0] == answers[1], "one process answers for all"


def test_a_run_goes_on_with_another_number_of_processes(several_train: Several, words: Callable[[str], Path]) -> None:
    for name in ("whole", "parted"):
        words(name)
    stages = f"stages=[{PRETRAIN.replace('steps: 4', 'steps: 90')}]"
    _, whole = several_train("whole", 1, stages)
    parted: list[MetricRow] = []
    for count, after in ((1, 3), (2, 1), (1, None)):
        result, rows = several_train("parted", count, stages, stop_after=after)
        assert result.state == ("done" if after is None else "stopped")
        parted += rows
    assert [row.step for row in parted] == list(range(1, 91))
    for row, expected in zip(parted, whole, strict=True):
        assert row.loss == pytest.approx(expected.loss, rel=1e-5)
        assert row.tokens == expected.tokens


def test_an_error_of_a_process_is_that_of_the_training(several_train: Several) -> None:
    """The first finds it while the other waits for its rows."""
    with pytest.raises(StudioError) as caught:
        several_train("a", 2, "stages.0.length=16")
    assert (caught.value.code, caught.value.details) == ("training.all_too_long", {"stage": "chat", "length": 16})
    assert ranks_of(psutil.Process()) == []


def ranks_of(process: psutil.Process) -> list[psutil.Process]:
    alive = [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]  # others have no command
    return [child for child in alive if "multiprocessing.spawn" in " ".join(child.cmdline())]


def test_a_killed_worker_takes_its_processes_along(
    settings: Settings, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSES", "2")
    studio = open_studio(settings)
    recipe = override(parse_recipe({**RECIPE, "base": f"local:{tiny_model}"}), ["stages.0.budget.steps=100000"])
    job = training.start(studio, recipe)
    try:
        end_by_force(studio, job.id)
    finally:
        jobs.end_now(studio, job.id)
    log = (settings.runs / "small-1" / "log.txt").read_text(encoding="utf8")
    assert "torch.distributed.launch" not in log


def end_by_force(studio: Studio, job: int) -> None:
    until(lambda: studio.metrics.last_id("small-1") > 0 or jobs.show(studio, job).state == "failed")
    found = jobs.show(studio, job)
    assert found.process is not None, found
    worker = psutil.Process(found.process.pid)
    ranks = ranks_of(worker)
    assert len(ranks) == 2
    assert {os.getpgid(rank.pid) for rank in ranks} == {worker.pid}, "ending the group ends all"
    os.kill(worker.pid, signal.SIGKILL)
    gone, left = psutil.wait_procs(ranks, timeout=60)
    assert (len(gone), left) == (2, [])
    jobs.advance(studio)
    assert jobs.show(studio, job).state == "lost"


def until(done: Callable[[], bool], seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing came of it"
        time.sleep(0.2)


def test_all_processes_together_take_the_rows_of_a_step() -> None:
    plan = Plan([[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]], 2)
    for count in (1, 2, 3, 4, 6):
        parts = [deal(plan, number, count) for number in range(count)]
        assert {part.steps for part in parts} == {2}
        assert len({part.accumulation for part in parts}) == 1
        for step, rows in enumerate((range(6), range(6, 12))):
            size = parts[0].accumulation
            taken = [row for part in parts for batch in part.batches[step * size :][:size] for row in batch]
            assert sorted(taken) == list(rows), count
    with pytest.raises(ValueError, match="6 rows cannot be dealt into 7 batches"):
        deal(plan, 0, 7)


@pytest.mark.parametrize(
    ("batch", "accumulation", "wanted", "count"),
    [(2, 4, 2, 2), (1, 3, 2, 1), (1, 3, 3, 3), (2, 3, 2, 2), (1, 1, 8, 1), (4, 1, 8, 4), (2, 4, 8, 8), (2, 4, 5, 5)],
)
def test_no_more_processes_than_a_step_can_be_dealt_among(
    batch: int, accumulation: int, wanted: int, count: int
) -> None:
    recipe = override(
        parse_recipe({**RECIPE, "base": "local:/x"}),
        [f"stages.0.batch={batch}", f"stages.0.accumulation={accumulation}"],
    )
    assert processes(recipe, wanted) == count


def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load_settings(tmp_path).processes is None
    monkeypatch.setenv("PROCESSES", "3")
    assert load_settings(tmp_path).processes == 3
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv("PROCESSES", wrong)
        with pytest.raises(StudioError, match=r"training\.bad_processes"):
            load_settings(tmp_path)


def test_the_environment_says_whether_layers_are_divided(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load_settings(tmp_path).divide is None
    for value, divide in (("1", True), ("0", False), ("", None)):
        monkeypatch.setenv("DIVIDE", value)
        assert load_settings(tmp_path).divide is divide
    monkeypatch.setenv("DIVIDE", "yes")
    with pytest.raises(StudioError, match=r"training\.bad_divide"):
        load_settings(tmp_path)


def test_cards_that_are_hidden_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert cards_shown(4) == 4
    for seen, count in (("2", 1), ("0,3", 2), ("", 0)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
        assert cards_shown(4) == count


def test_a_process_sees_its_card_of_those_that_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    show_card(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    show_card(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
