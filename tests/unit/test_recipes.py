"""Recipes refuse what they do not know, and settings change exactly what they name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from studio.errors import StudioError
from studio.recipes import Recipe, dump_recipe, load_recipe, only, override, parse_recipe, preset_recipe, variant_names
from studio.settings import PRESETS

MINIMAL = {
    "name": "tiny",
    "base": "starter:smollm2-135m",
    "stages": [{"name": "chat", "kind": "instruct", "data": [{"dataset": "sample-chats"}], "budget": {"steps": 4}}],
}


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(MINIMAL)


@pytest.mark.parametrize("path", sorted((PRESETS / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_loads_under_its_own_name(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_a_variant_changes_only_the_keys_it_names() -> None:
    path = PRESETS / "recipes" / "llama_persian.yaml"
    assert variant_names(path) == ["english_translation", "no_lora", "few_100"]
    plain, changed = load_recipe(path), load_recipe(path, "no_lora")
    assert changed.name == "llama_persian-no_lora"
    assert [stage.trains_lora for stage in plain.stages] == [False, False, True, True]
    assert not any(stage.trains_lora for stage in changed.stages)
    back = override(changed, ["name=llama_persian", "stages.2.lora=null", "stages.3.lora=null"])
    assert back == plain
    few = load_recipe(path, "few_100").stages[3]
    assert ([each.dataset for each in few.data], few.budget.epochs) == (["fa-exams"], 3)
    english = load_recipe(path, "english_translation").stages[3]
    assert [each.dataset for each in english.data] == ["en-instructions", "fa-en-pairs"]


@pytest.mark.parametrize(
    ("variants", "code"),
    [
        ({"other": {}}, "recipe.no_such_variant"),
        ({"mine": {"stages.7.lora": False}}, "recipe.bad_setting"),
        ({"mine": {"lora.rnak": 4}}, "recipe.invalid"),
        ({"mine": 3}, "recipe.invalid"),
        (["mine"], "recipe.invalid"),
    ],
    ids=["unknown", "nowhere", "misspelt", "number", "list"],
)
def test_a_bad_variant_is_refused(variants: object, code: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, "variants": variants}), encoding="utf8")
    with pytest.raises(StudioError) as caught:
        load_recipe(path, "mine")
    assert caught.value.code == code


def test_one_stage_alone_keeps_everything_else() -> None:
    recipe = preset_recipe("recommended")
    alone = only(recipe, ["pretrain"])
    assert [stage.name for stage in alone.stages] == ["pretrain"]
    assert alone.stages[0] == recipe.stages[1]
    assert alone.model_copy(update={"stages": recipe.stages}) == recipe
    with pytest.raises(StudioError) as caught:
        only(recipe, ["chat"])
    assert (caught.value.code, caught.value.details["known"]) == ("recipe.no_such_stage", "align, pretrain, instruct")


def test_the_presets_hold_the_published_values() -> None:
    mind, llama, phi, gemma = (
        preset_recipe(name) for name in ("persianmind", "llama_persian", "persian_phi", "gemma3n_persian")
    )
    sizes = [None if each.vocabulary is None else each.vocabulary.size for each in (mind, llama, phi, gemma)]  # type: ignore[union-attr]
    assert sizes == [41_510 - 32_000, 49_817 - 32_000, 4_921, None]
    assert phi.vocabulary.start == "random"  # type: ignore[union-attr]
    assert [(each.lora.rank, each.lora.alpha) for each in (llama, gemma)] == [(8, 32), (8, 16)]
    assert mind.lora.rank == 8
    assert [(stage.kind, stage.rows) for stage in llama.stages] == [
        ("align", "all"), ("align", "all"), ("pretrain", "all"), ("instruct", "all")
    ]  # fmt: skip
    assert llama.stages[1].data[0].direction == "fa-en"
    assert phi.stages[0].data[0].direction == "both"
    chat = gemma.stages[0]
    assert (gemma.quantisation, gemma.seed, gemma.lora.targets) == ("nf4", 3407, ["gate_proj", "up_proj", "down_proj"])
    assert (chat.rates.lora, chat.warmup, chat.weight_decay, chat.optimizer) == (2e-5, 10, 0.01, "adamw_8bit")
    assert (chat.batch, chat.accumulation, chat.length, chat.loss) == (2, 4, 4000, "all")
    assert (chat.schedule, chat.budget.epochs, chat.rows) == ("linear", 1, "frozen")


def test_every_dataset_of_a_preset_is_explained_in_its_file() -> None:
    for path in sorted((PRESETS / "recipes").glob("*.yaml")):
        head = path.read_text(encoding="utf8").split("\nname: ")[0]
        for variant in ("", *variant_names(path)):
            for name in load_recipe(path, variant).datasets:
                assert name in head or (path.stem, name) == ("first_steps", "sample-chats"), (path.stem, name)


def test_a_recipe_survives_writing_and_reading(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf8")
    assert load_recipe(path) == recipe


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"stagse": []}, "stagse"),
        ({"stages": []}, "stages"),
        ({"name": "Not A Name"}, "name"),
        ({"lora": {"rank": 0}}, "lora.rank"),
        ({"stages": [{**MINIMAL["stages"][0], "budget": {"steps": 0}}]}, "stages.0.budget.steps"),  # type: ignore[dict-item]
        ({"stages": [{**MINIMAL["stages"][0], "budget": {"steps": 1, "epochs": 1}}]}, "stages.0.budget"),  # type: ignore[dict-item]
        ({"stages": [MINIMAL["stages"][0], MINIMAL["stages"][0]]}, "recipe"),
    ],
    ids=["misspelt", "no-stage", "name", "rank", "zero-budget", "two-budgets", "same-names"],
)
def test_a_fault_names_its_key(change: dict[str, object], key: str) -> None:
    with pytest.raises(StudioError) as caught:
        parse_recipe({**MINIMAL, **change})
    assert (caught.value.code, caught.value.details["key"]) == ("recipe.invalid", key)


def test_settings_reach_into_lists_and_read_numbers(recipe: Recipe) -> None:
    changed = override(recipe, ["stages.0.budget.steps=8", "stages.0.rates.lora=3e-4", "lora.rslora=true", "seed=7"])
    assert changed.stages[0].budget.steps == 8
    assert changed.stages[0].rates.lora == 3e-4
    assert (changed.lora.rslora, changed.seed) == (True, 7)


def test_another_kind_of_budget_replaces_the_first(recipe: Recipe) -> None:
    budget = override(recipe, ["stages.0.budget.epochs=0.5"]).stages[0].budget
    assert (budget.steps, budget.epochs) == (None, 0.5)


@pytest.mark.parametrize("setting", ["seed", "=3", "stages.9.batch=1", "stages.x.batch=1", "seed.deep=1"])
def test_a_setting_that_leads_nowhere_is_named(recipe: Recipe, setting: str) -> None:
    with pytest.raises(StudioError) as caught:
        override(recipe, [setting])
    assert caught.value.code == "recipe.bad_setting"
    assert caught.value.details["setting"] == setting


def test_a_file_that_is_no_recipe_says_why(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    for content in ("a: [1", "just text", ""):
        path.write_text(content, encoding="utf8")
        with pytest.raises(StudioError, match="recipe.not_yaml"):
            load_recipe(path)
    with pytest.raises(StudioError, match="recipe.missing"):
        load_recipe(tmp_path / "none.yaml")
