"""A smoke run is the same recipe in miniature: what learns, how and in which order is not touched."""

from __future__ import annotations

import pytest

from studio.data.starters import STARTERS
from studio.recipe_problems import problems
from studio.recipes import Recipe, Stage, override, preset_recipe
from studio.services import recipes
from studio.smoke import SAMPLES, kind_of_dataset, smoke

# fmt: off
KEPT = (
    "name", "kind", "rates", "loss", "lora", "trains_lora", "rows", "schedule", "optimizer", "weight_decay",
)
# fmt: on


@pytest.mark.parametrize("name", recipes.names(with_variants=True))
def test_the_stages_stay_what_they_are(name: str) -> None:
    recipe = recipes.read(name)
    small = smoke(recipe)
    assert len(small.stages) == len(recipe.stages)
    for before, after in zip(recipe.stages, small.stages, strict=True):
        assert {key: getattr(after, key) for key in KEPT} == {key: getattr(before, key) for key in KEPT}
        assert directions(after) == directions(before)
        assert sum(each.weight for each in after.data) == pytest.approx(sum(each.weight for each in before.data))
    assert (small.lora, small.quantisation, small.seed) == (recipe.lora, recipe.quantisation, recipe.seed)


@pytest.mark.parametrize("name", recipes.names(with_variants=True))
def test_it_is_small_and_needs_nothing_but_the_studio(name: str) -> None:
    recipe = recipes.read(name)
    small = smoke(recipe)
    assert small.base == ("starter:gemma3-270m" if name == "gemma3n_persian" else "starter:smollm2-135m")
    assert set(small.datasets) <= set(SAMPLES.values()) <= set(STARTERS)
    assert (small.vocabulary is None) == (recipe.vocabulary is None)
    if small.vocabulary is not None:
        assert small.vocabulary.size == 300  # type: ignore[union-attr]
        assert small.vocabulary.start == recipe.vocabulary.start  # type: ignore[union-attr]
    for stage in small.stages:
        assert 2 <= (stage.budget.steps or 0) <= 4
        assert stage.batch * stage.accumulation * stage.length <= 512
    assert problems(small) == []


def directions(stage: Stage) -> set[str]:
    return {each.direction for each in stage.data if kind_of_dataset(each.dataset, stage) == "pair"}


def test_samples_are_of_the_kind_of_the_data() -> None:
    small = smoke(preset_recipe("llama_persian"))
    data = [[(each.dataset, each.direction) for each in stage.data] for stage in small.stages]
    assert data == [
        [("sample-prose", "both")],
        [("sample-stories-more", "fa-en")],
        [("sample-prose", "both")],
        [("sample-chats", "both"), ("sample-stories-more", "both")],
    ]
    assert [each.weight for each in small.stages[3].data] == pytest.approx([0.76, 0.24])


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("tinystories-farsi", "instruct", "pair"),
        ("mizan", "align", "pair"),
        ("persian-gk", "pretrain", "chat"),
        ("hafez", "align", "text"),
        ("my-parallel-texts", "align", "pair"),
        ("mine", "pretrain", "text"),
        ("mine", "instruct", "chat"),
    ],
)
def test_the_kind_of_a_dataset_by_its_name(name: str, kind: str, expected: str, recipe: Recipe) -> None:
    stage = override(recipe, [f"stages.0.kind={kind}", "stages.0.rows=all"]).stages[0]
    assert kind_of_dataset(name, stage) == expected


def test_the_gemma_recipe_in_miniature() -> None:
    small = smoke(preset_recipe("gemma3n_persian"))
    (stage,) = small.stages
    assert (small.quantisation, small.vocabulary) == ("nf4", None)
    assert small.lora.targets == ["gate_proj", "up_proj", "down_proj"]
    assert [each.dataset for each in stage.data] == ["sample-chats"]
    assert (stage.kind, stage.loss, stage.rows, stage.optimizer) == ("instruct", "all", "frozen", "adamw_8bit")
    assert (stage.warmup, stage.batch, stage.length) == (1, 1, 512)


def test_what_fits_no_starter_is_replaced(recipe: Recipe) -> None:
    fused = override(recipe, ["vocabulary=mine", "lora.targets=[qkv_proj]", "base=local:/models/phi"])
    small = smoke(fused)
    assert small.lora.targets == "auto"
    assert small.vocabulary is not None
    assert small.vocabulary != "mine"


def test_settings_have_the_last_word() -> None:
    told = recipes.read("llama_persian:no_lora", ["stages.1.budget.steps=1"], small=True, stage="align-pairs")
    assert told.name == "llama_persian-no_lora-smoke"
    assert [(stage.name, stage.budget.steps) for stage in told.stages] == [("align-pairs", 1)]


@pytest.fixture
def recipe() -> Recipe:
    return preset_recipe("first_steps")
