"""What cannot work is named before anything is fetched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.i18n import explain
from studio.recipe_problems import problems
from studio.recipes import override, preset_recipe
from studio.services import recipes, training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings

ALIGN = ["stages.0.kind=align", "stages.0.rows=new"]
VOCABULARY = "vocabulary={size: 10, corpus: [sample-prose], start: random}"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


@pytest.mark.parametrize("name", recipes.names(with_variants=True))
def test_every_preset_is_sound(name: str, studio: Studio) -> None:
    checked = recipes.check(studio, name)
    assert (checked.ok, [str(fault) for fault in checked.problems]) == (True, [])


def test_what_the_user_must_bring_is_no_fault(studio: Studio) -> None:
    assert recipes.check(studio, "recommended").missing == []
    assert recipes.check(studio, "persian_phi").missing == ["fa-web", "fa-en-stories", "fa-instructions"]


@pytest.mark.parametrize(
    ("settings", "code", "word"),
    [
        (["base=nonsense"], "model.bad_reference", "nonsense"),
        (["base=starter:none"], "model.no_such_starter", "none"),
        (
            ["base=hub:google/gemma-3n-E2B-it", VOCABULARY, "stages.0.rows=new"],
            "vocabulary.per_layer_tables",
            "gemma-3n",
        ),
        ([VOCABULARY], "recipe.rows_stay_random", "start"),
        (ALIGN, "recipe.rows_without_vocabulary", "chat"),
        (["stages.0.rows=all"], "recipe.rows_without_vocabulary", "chat"),
        (["stages.0.length=9000"], "training.length_too_long", "9,000"),
        (["base=hub:meta-llama/Llama-2-7b-hf", "stages.0.length=4097"], "training.length_too_long", "4,096"),
        (["stages.0.warmup=61"], "recipe.warmup_too_long", "61"),
        (["lora.targets=[]"], "recipe.no_targets", "targets"),
        (["stages.0.data=[{dataset: ../x}]"], "data.bad_name", "../x"),
    ],
)
def test_an_impossible_combination_is_named(settings: list[str], code: str, word: str) -> None:
    found = problems(override(preset_recipe("first_steps"), settings))
    assert [error.code for error in found] == [code]
    assert word in explain("en", found[0])
    assert "{" not in explain("fa", found[0])


@pytest.mark.parametrize(
    "settings",
    [
        [*ALIGN, VOCABULARY],
        ["quantisation=nf4", VOCABULARY, "stages.0.rows=all", "lora.dora=true"],
        ["stages.0.length=8192", "stages.0.warmup=60"],
    ],
    ids=["vocabulary", "nf4", "bounds"],
)
def test_what_is_only_unusual_is_allowed(settings: list[str]) -> None:
    assert problems(override(preset_recipe("first_steps"), settings)) == []


def test_all_problems_are_told_at_once() -> None:
    recipe = override(preset_recipe("first_steps"), ["base=starter:none", "lora.targets=[]", "stages.0.warmup=99"])
    codes = [error.code for error in problems(recipe)]
    assert codes == ["model.no_such_starter", "recipe.no_targets", "recipe.warmup_too_long"]


def test_a_base_on_disk_says_its_own_limit(studio: Studio, tiny_model: Path, tmp_path: Path) -> None:
    limit = json.loads((tiny_model / "config.json").read_text())["max_position_embeddings"]
    settings = [f"base=local:{tiny_model}", f"stages.0.length={limit + 1}"]
    with pytest.raises(StudioError) as caught:
        training.start(studio, recipes.read("first_steps", settings))
    assert (caught.value.code, caught.value.details["limit"]) == ("training.length_too_long", limit)
    assert studio.jobs.listing() == []
    assert list(studio.settings.runs.iterdir()) == []


def test_a_file_and_its_variant_are_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        (recipes.FOLDER / "first_steps.yaml").read_text(encoding="utf8")
        + "variants: {short: {stages.0.budget: {steps: 2}}}\n",
        encoding="utf8",
    )
    assert recipes.read(str(file)).stages[0].budget.steps == 60
    assert recipes.read(f"{file}:short").stages[0].budget.steps == 2
    for name in ("none", "first_steps:none", str(tmp_path / "none.yaml"), f"{file}:none"):
        with pytest.raises(StudioError, match=r"recipe\.(missing|no_such_variant)"):
            recipes.read(name)
