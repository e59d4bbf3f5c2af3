"""A changed recipe is refused at resume, and becomes a run of its own that takes over what was finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from studio.errors import StudioError
from studio.i18n import explain
from studio.jobs.events import HeldOutRow, MetricRow
from studio.jobs.store import NewJob
from studio.recipe_changes import changes
from studio.recipes import Recipe, load_recipe, override, parse_recipe
from studio.services import branching, training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.training.curriculum import TrainResult
from tests.live import command
from tests.unit.training.test_stages import ALIGN, PRETRAIN

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]
STAGES = f"stages=[{ALIGN}, {PRETRAIN}]"


@pytest.fixture
def studio(settings: Settings) -> Studio:
    return open_studio(settings)


@pytest.fixture
def recipe(tiny_model: Path) -> Recipe:
    return parse_recipe(yaml.safe_load(f"{{name: small, base: 'local:{tiny_model}', stages: [{ALIGN}, {PRETRAIN}]}}"))


def keep(settings: Settings, run: str, recipe: Recipe) -> None:
    path = settings.runs / run / "recipe.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf8")


def test_changes_are_told_key_by_key() -> None:
    then = {"lora": {"rank": 8}, "stages": [{"rate": 0.1, "name": "a"}], "vocabulary": None}
    now = {"lora": {"rank": 16}, "stages": [{"rate": 0.1, "name": "a"}, {"name": "b"}], "vocabulary": "v"}
    assert changes(then, then) == []
    assert changes(then, now) == ["lora.rank: 8 → 16", "vocabulary: — → v", "stages.1.name: — → b"]


def test_resume_with_a_changed_recipe_says_what_changed(
    train: Train, settings: Settings, studio: Studio, tiny_model: Path
) -> None:
    seen: list[MetricRow] = []
    train("a", record=seen.append, stopping=lambda: len(seen) >= 2)
    with pytest.raises(StudioError) as caught:
        train("a", "stages.0.rates.lora=0.001", "lora.rank=4")
    assert caught.value.code == "training.changed"
    assert caught.value.details["changes"] == "lora.rank: 16 → 4; stages.0.rates.lora: 0.002 → 0.001"
    job = studio.jobs.add(NewJob("train", "a", {"run": "a"}, lane="device", run="a"))
    studio.queue.stop(job)
    frozen = json.loads((settings.runs / "a" / "environment.json").read_text(encoding="utf8"))["recipe"]
    keep(settings, "a", override(parse_recipe(frozen), ["stages.0.budget.steps=9"]))
    with pytest.raises(StudioError) as caught:
        training.resume(studio, "a")
    assert studio.jobs.get(job).state == "stopped", "nothing is queued"
    for locale in ("fa", "en"):
        assert "stages.0.budget.steps: 6 → 9" in explain(locale, caught.value)
    assert train("a")[0].state == "done", "the old recipe still goes on"


def branch(studio: Studio, recipe: Recipe, origin: str, run: str) -> branching.Branch:
    found = branching.plan(studio, recipe, origin)
    keep(studio.settings, run, recipe)
    branching.fill(studio, found, recipe, run)
    return found


def test_a_branch_takes_over_stages_and_checkpoint(
    train: Train, settings: Settings, studio: Studio, recipe: Recipe, words: Callable[[str], Path]
) -> None:
    words("origin")
    keep(settings, "origin", recipe)
    _, whole = train("origin", STAGES, "name=small")
    longer = override(recipe, ["stages.1.budget.steps=2"])
    found = branch(studio, longer, "run:origin", "shorter")
    assert found.facts() == {
        "from": "origin", "kept": ["align"], "checkpoint": None, "changed": ["stages.1.budget.steps: 4 → 2"],
    }  # fmt: skip
    _, rows = train("shorter", STAGES, "stages.1.budget.steps=2")
    assert [(row.stage, row.step) for row in rows] == [(1, 1), (1, 2)]
    assert rows[0].loss == whole[3].loss, "its first step is that of the origin after the same stage"
    assert rows[0].tokens == whole[3].tokens

    words("parted")
    keep(settings, "parted", recipe)
    seen: list[MetricRow] = []
    train("parted", STAGES, record=seen.append, stopping=lambda: len(seen) >= 5)
    third = "{name: more, kind: pretrain, data: [{dataset: pairs}], budget: {steps: 1}, length: 64}"
    extended = override(recipe, [f"stages=[{ALIGN}, {PRETRAIN}, {third}]"])
    assert branch(studio, extended, "parted", "extended").facts()["checkpoint"] == "step-000002"
    _, rest = train("extended", f"stages=[{ALIGN}, {PRETRAIN}, {third}]")
    assert [row.loss for row in rest[:2]] == [row.loss for row in whole[5:]]
    assert [(row.stage, row.step) for row in rest] == [(1, 3), (1, 4), (2, 1)]
    environment = json.loads((settings.runs / "extended" / "environment.json").read_text(encoding="utf8"))
    assert (environment["from"], sorted(environment["datasets"])) == ("parted", ["pairs", "texts"])


def test_figures_and_answers_come_along(
    train: Train, settings: Settings, studio: Studio, recipe: Recipe, words: Callable[[str], Path]
) -> None:
    words("origin")
    keep(settings, "origin", recipe)
    _, rows = train("origin", STAGES, "name=small")
    for row in rows:
        studio.metrics.add("origin", row)
    for stage in (-1, 0, 1):
        studio.held_out.add("origin", HeldOutRow(stage, 4, "fa", 2.0 - stage, 3.0, 10, 10, 1.0))
    answers = [{"stage": stage, "step": step, "prompt": "?", "answer": "!"} for stage in (0, 1) for step in (0, 2)]
    lines = "".join(json.dumps(answer) + "\n" for answer in answers)
    (settings.runs / "origin" / "samples.jsonl").write_text(lines, encoding="utf8")
    branch(studio, override(recipe, ["stages.1.budget.steps=2"]), "origin", "new")
    first = [row for row in rows if row.stage == 0]
    assert studio.metrics.newest("new", 99) == first
    assert [row.stage for row in studio.held_out.rows("new")] == [-1, 0]
    taken = training.answers(studio, "new")
    assert [(answer.stage, answer.step) for answer in taken] == [("0", 0), ("0", 2)]
    assert studio.metrics.newest("origin", 99) == rows, "the origin keeps its own"


def test_a_branch_is_held_to_the_data_of_its_origin(
    train: Train, settings: Settings, studio: Studio, recipe: Recipe, words: Callable[[str], Path]
) -> None:
    words("origin")
    keep(settings, "origin", recipe)
    train("origin", STAGES)
    branch(studio, override(recipe, ["stages.1.budget.steps=2"]), "origin", "new")
    manifest = settings.datasets / "texts" / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf8"))
    manifest.write_text(json.dumps({**content, "sha256": "0" * 64}), encoding="utf8")
    with pytest.raises(StudioError, match=r"training\.data_changed.*texts"):
        train("new", STAGES, "stages.1.budget.steps=2")


def test_what_cannot_be_branched_is_refused_and_makes_nothing(
    train: Train, settings: Settings, studio: Studio, recipe: Recipe, words: Callable[[str], Path], tmp_path: Path
) -> None:
    words("origin")
    keep(settings, "origin", recipe)
    train("origin", STAGES)
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf8")
    before = sorted(settings.runs.iterdir())
    for setting, origin, code, word in (
        ("lora.rank=4", "origin", "training.cannot_branch", "lora.rank: 16 → 4"),
        ("stages.1.rows=all", "origin", "training.cannot_branch", "stages.*.rows: new → all"),
        ("stages.0.length=128", "origin", "training.nothing_to_branch", "origin"),
        ("seed=3407", "none", "run.unknown", "none"),
    ):
        with pytest.raises(StudioError) as caught:
            branching.plan(studio, override(recipe, [setting]), origin)
        assert caught.value.code == code
        for locale in ("fa", "en"):
            assert word in explain(locale, caught.value)
    told = command(settings.workspace, "run", str(file), "--from", "origin", "--set", "seed=1", status=1)
    assert (told["error"], told["details"]["changes"]) == ("training.cannot_branch", "seed: 3407 → 1")
    assert sorted(settings.runs.iterdir()) == before
    assert studio.jobs.listing() == []
    assert load_recipe(settings.runs / "origin" / "recipe.yaml") == recipe
