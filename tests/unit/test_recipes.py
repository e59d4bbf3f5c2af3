"""Recipes refuse what they do not know, and settings change exactly what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.recipes import Recipe, dump_recipe, load_recipe, override, parse_recipe
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
