"""Every recipe that ships, as a smoke run on a real starter model: the same stages, and what each is there to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from studio.data.pairs import Direction, as_texts
from studio.data.sample import Pair
from studio.data.stored import read_samples
from studio.recipes import Recipe
from studio.services import recipes, reports, training
from studio.services.studio import Studio
from studio.settings import Settings
from studio.tasks import TASKS
from studio.worker import Work
from tests.here import Here
from tests.live import command
from tests.starter import fetch_starter

FIRST_NEW = 49_152
"""Ids that SmolLM2 has; new rows follow."""


class Desk:
    """A studio on one workspace for all recipes; what one has imported or learned the next finds."""

    def __init__(self, settings: Settings) -> None:
        self.here = Here(settings)
        self.studio = self.here.studio

    def smoke(self, name: str, stage: str | None = None) -> Run:
        """A smoke run as ``run NAME --smoke [--stage STAGE]`` starts it, to its end."""
        recipe = recipes.read(name, small=True, stage=stage)
        job = training.start(self.studio, recipe, smoke=True)
        self.here.run_all(self._do)
        done = self.studio.jobs.get(job.id)
        assert done.state == "done", (name, done.error)
        assert done.run is not None
        return Run(self.studio, done.run, recipe)

    def _do(self, work: Work) -> None:
        self.studio.jobs.finish(work.job.id, "done", result=TASKS[work.job.kind](work))


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
        assert 0 < told.loss < 30, "random rows start at 14"
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


def old_rows() -> torch.Tensor:
    """The base's own embeddings."""
    weights = load_file(fetch_starter("smollm2-135m") / "model.safetensors")
    return weights["model.embed_tokens.weight"].float()


def stories(desk: Desk, direction: Direction) -> int:
    """Characters of the sample stories read in one direction or in both."""
    samples = read_samples(desk.studio.settings.datasets / "sample-stories-more")
    return sum(len(text.text) for pair in samples if isinstance(pair, Pair) for text in as_texts(pair, direction))


def test_recommended_learns_new_rows_first_and_then_the_layers(desk: Desk, tmp_path: Path) -> None:
    run = desk.smoke("recommended")
    hold(run)
    assert [stage.kind for stage in run.report.stages] == ["align", "pretrain", "instruct"]
    assert run.report.saving is not None
    assert run.report.saving.after < 0.9 * run.report.saving.before
    start = json.loads((run.folder / "vocabulary" / "start.json").read_text(encoding="utf8"))
    assert start["chosen"] == "fitted"
    for place in range(3):
        assert run.rows(place).shape == (300, 576), "only the new rows are kept: the old ones are the base's"
        assert not torch.equal(run.rows(place), run.rows(place - 1))
    reads_and_answers_by_command(desk.studio.settings.workspace, f"run:{run.folder.name}", tmp_path)


def reads_and_answers_by_command(workspace: Path, model: str, tmp_path: Path) -> None:
    """What a run of three stages came to, from a terminal: fewer tokens, sane bits per byte, an answer."""
    texts = tmp_path / "texts.txt"
    texts.write_text("باران آرام روی برگ‌ها می‌بارید.\n", encoding="utf8")
    bits = command(workspace, "bits", "--model", model, "--text", str(texts))
    base = command(workspace, "bits", "--model", "starter:smollm2-135m", "--text", str(texts))
    assert bits["tokens"] < 0.7 * base["tokens"]
    assert 0.5 * base["bits_per_byte"] < bits["bits_per_byte"] < 2 * base["bits_per_byte"]
    answer = command(workspace, "chat", "--model", model, "--prompt", "سلام", "--max-tokens", "4")
    assert answer["tokens"] == 4 or answer["text"]


def test_llama_persian_learns_all_rows_and_holds_the_layers_in_both_alignments(desk: Desk) -> None:
    run = desk.smoke("llama_persian")
    hold(run)
    assert [stage.kind for stage in run.report.stages] == ["align", "align", "pretrain", "instruct"]
    rows = run.rows(0)
    assert len(rows) >= FIRST_NEW + 300, "padded to a multiple of 64"
    assert not torch.equal(rows[:FIRST_NEW], old_rows()), "old rows move as well"
    assert not torch.equal(rows[FIRST_NEW : FIRST_NEW + 300], run.rows(-1))
    assert not torch.equal(run.rows(1)[:FIRST_NEW], rows[:FIRST_NEW])
    assert run.data(1)["sample-stories-more"]["characters"] == pytest.approx(stories(desk, "fa-en"), rel=0.02)
    assert set(run.data(3)) == {"sample-chats", "sample-stories-more"}


def test_the_variants_change_what_they_name_and_nothing_else(desk: Desk) -> None:
    """Each in the stage where it differs; the stages before are those of the recipe itself."""
    without = desk.smoke("llama_persian:no_lora", "pretrain")
    hold(without)
    assert not without.learned(0)
    assert not torch.equal(without.rows(0)[:FIRST_NEW], old_rows())
    few = desk.smoke("llama_persian:few_100", "instruct")
    hold(few)
    assert set(few.data(0)) == {"sample-chats"}, "no translation"
    crossed = desk.smoke("llama_persian:english_translation", "instruct")
    hold(crossed)
    shares = {source.dataset: source.weight for source in crossed.recipe.stages[0].data}
    assert shares == {"sample-chats": 0.6, "sample-stories-more": 0.4}


def test_persian_phi_starts_at_random_and_reads_its_stories_both_ways(desk: Desk) -> None:
    run = desk.smoke("persian_phi")
    hold(run)
    assert [stage.name for stage in run.report.stages] == ["warm-up", "pretrain", "instruct"]
    assert run.data(0)["sample-stories-more"]["characters"] == pytest.approx(stories(desk, "both"), rel=0.02)
    assert float(run.rows(-1).std()) == pytest.approx(0.02, rel=0.05)
    assert abs(float(torch.corrcoef(run.rows(-1)[:2])[0, 1])) < 0.2


def test_persianmind_reads_text_and_then_instructs_twice(desk: Desk) -> None:
    run = desk.smoke("persianmind")
    hold(run)
    assert [stage.kind for stage in run.report.stages] == ["pretrain", "instruct", "instruct"]
    assert [sorted(run.data(place)) for place in range(3)] == [
        ["sample-prose"], ["sample-chats"], ["sample-chats", "sample-stories-more"]
    ]  # fmt: skip
    assert run.rows(2).shape == (300, 576)
