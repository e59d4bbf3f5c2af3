"""Every recipe that ships, as a smoke run on a real starter model: the same stages, and what each is there to show."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from studio.jobs.local import LocalRunner
from studio.jobs.metrics import MetricStore
from studio.jobs.process import ProcessIdentity, current_process
from studio.jobs.queue import Queue
from studio.jobs.store import Job
from studio.recipes import Recipe
from studio.services import recipes, reports, training
from studio.services.studio import Studio, Vault, open_studio
from studio.settings import Settings
from studio.tasks import TASKS
from studio.worker import Work
from tests.starter import fetch_starter

FIRST_NEW = 49_152
"""Ids that SmolLM2 has; new rows follow."""


class Here:
    """Runs jobs in this process, one after another: 20 workers would each import torch and peft for eight seconds."""

    def __init__(self) -> None:
        self.waiting: list[int] = []

    def start(self, job: Job, token: str | None) -> None:
        self.waiting.append(job.id)

    def alive(self, process: ProcessIdentity) -> bool:
        return True

    def kill(self, process: ProcessIdentity) -> None:
        raise AssertionError("nothing is killed here")


class Desk:
    """A studio on one workspace for all recipes; what one has imported or learned the next finds."""

    def __init__(self, settings: Settings) -> None:
        self.here = Here()
        opened = open_studio(settings)
        self.studio = Studio(
            opened.settings, opened.jobs, Queue(opened.jobs, self.here), opened.metrics, opened.leases, Vault()
        )

    def smoke(self, name: str, *stages: str, settings: tuple[str, ...] = ()) -> Run:
        """A smoke run as ``run NAME --smoke`` starts it, to its end; with `stages` of these only."""
        recipe = recipes.read(name, settings, small=True, stage=stages[0] if stages else None)
        job = training.start(self.studio, recipe, smoke=True)
        while self.here.waiting:
            self._do(self.here.waiting.pop(0))
            self.studio.queue.advance()
        done = self.studio.jobs.get(job.id)
        assert done.state == "done", (name, done.error)
        assert done.run is not None
        return Run(self.studio, done.run, recipe)

    def _do(self, number: int) -> None:
        claimed = self.studio.queue.claim(number, current_process())
        assert claimed is not None
        work = Work(claimed, self.studio.settings, self.studio.jobs, MetricStore(self.studio.jobs.database), None)
        self.studio.jobs.finish(number, "done", result=TASKS[claimed.kind](work))


class Run:
    """What a smoke run left behind."""

    def __init__(self, studio: Studio, name: str, recipe: Recipe) -> None:
        self.folder, self.recipe = studio.settings.runs / name, recipe
        self.report = reports.of_run(studio, name)
        self.folders = sorted((self.folder / "stages").iterdir())

    def rows(self, place: int, side: str = "input") -> torch.Tensor:
        """Rows after a stage; before the first one (-1) the start rows."""
        folder = self.folder / "vocabulary" if place < 0 else self.folders[place]
        return load_file(folder / "new_rows.safetensors")[side]

    def adapter(self, place: int) -> dict[str, torch.Tensor]:
        return load_file(self.folders[place] / "adapter_model.safetensors")

    def learned(self, place: int) -> bool:
        """Whether the adapter moved in a stage: its second matrices begin at zero."""
        now = self.adapter(place)
        before = self.adapter(place - 1) if place else {key: torch.zeros_like(one) for key, one in now.items()}
        return any(not torch.equal(now[key], before[key]) for key in now if "lora_B" in key)

    def data(self, place: int) -> dict[str, Any]:
        """What became of the data of a stage, by dataset."""
        found: dict[str, Any] = json.loads((self.folders[place] / "data.json").read_text(encoding="utf8"))
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    settings = Settings(tmp_path_factory.mktemp("recipes") / "workspace")
    settings.workspace.mkdir()
    settings.models.symlink_to(fetch_starter("smollm2-135m").parent)
    return Desk(settings)


def hold(run: Run) -> None:
    """What every smoke run must show: all stages in their order, two steps each, text read, finite losses."""
    stages = run.recipe.stages
    assert [folder.name for folder in run.folders] == [f"{at:02d}-{stage.name}" for at, stage in enumerate(stages)]
    for place, (stage, told) in enumerate(zip(stages, run.report.stages, strict=True)):
        assert (told.kind, told.steps, told.finished) == (stage.kind, 2, True)
        assert told.tokens > 50
        assert told.loss is not None
        assert 0 < told.loss < 20
        assert all(facts["rows"] > 0 for facts in run.data(place).values())
        assert run.learned(place) == stage.trains_lora
    assert all(each.before is not None and len(each.after) == len(stages) for each in run.report.answers)


def test_first_steps(desk: Desk) -> None:
    run = desk.smoke("first_steps")
    hold(run)
    assert [stage.kind for stage in run.report.stages] == ["instruct"]
    assert run.report.saving is None
    assert not (run.folders[0] / "new_rows.safetensors").exists()


def test_gemma3n_persian_learns_in_four_bits(desk: Desk) -> None:
    fetch_starter("gemma3-270m")
    run = desk.smoke("gemma3n_persian")
    hold(run)
    assert (run.recipe.base, run.recipe.quantisation) == ("starter:gemma3-270m", "nf4")
    layers = {key.split(".")[-3] for key in run.adapter(0)}
    assert layers == {"gate_proj", "up_proj", "down_proj"}, "the MLP alone, as the report's code"
