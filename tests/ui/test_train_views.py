"""The form of the training tab: readable recipes, and every stage's values kept, whichever stage is shown."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, say
from studio.services import recipes, training
from studio.services.studio import open_studio
from studio.settings import Settings
from studio.ui.train_draft import NEW, Draft, preset
from studio.ui.train_form import recipe_choices, recipe_view, visible_rates, vocabulary_choices


@pytest.mark.parametrize("locale", LOCALES)
def test_every_recipe_has_a_readable_name_and_a_description(locale: str) -> None:
    choices = recipe_choices(locale)
    names = [name for _, name in choices]
    assert names[:2] == ["first_steps", "recommended"]
    assert sorted(names) == sorted(recipes.names(with_variants=True))
    after = names.index("llama_persian")
    assert all(name.startswith("llama_persian:") for name in names[after + 1 : after + 4]), "variants stand below"
    assert len({title for title, _ in choices}) == len(choices)
    for title, name in choices:
        assert title != name
        assert say(locale, f"recipes.{name}") in unescape(recipe_view(locale, name))


def test_a_recipe_shows_its_stages_and_what_to_bring() -> None:
    shown = recipe_view("en", "persian_phi")
    assert shown.index("align · warm-up") < shown.index("pretrain · pretrain") < shown.index("instruct · instruct")
    assert "fa-web, fa-en-stories, fa-instructions" in shown
    assert say("en", "train.bring", names="").strip() not in recipe_view("en", "recommended")


@pytest.mark.parametrize("name", recipes.names(with_variants=True))
def test_untouched_fields_leave_a_recipe_as_it_is(name: str) -> None:
    recipe, draft = training.read_recipe(name), preset(name)
    assert draft.read() == recipe
    for stage in [*recipe.stages, recipe.stages[0]]:
        draft = draft.show(stage.name)
        assert draft.read() == recipe
        assert (draft.shown, draft.kept) == (stage.name, "")
    assert Draft(name).read() == recipe


def test_each_stage_keeps_what_was_typed_into_it() -> None:
    draft = replace(preset("recommended"), unit="steps", budget=7.0, batch=1)
    draft = replace(draft.show("instruct"), unit="steps", budget=5, lora=1e-5)
    draft = replace(draft.show("pretrain"), length=0, datasets=["sample-prose", "mine"])
    align = draft.show("align")
    assert (align.budget, align.unit, align.batch) == (7, "steps", 1)
    assert draft.show("instruct").show("pretrain").length == 0, "a wrong value is kept as well"
    with pytest.raises(StudioError) as caught:
        align.read()
    assert caught.value.details["key"] == "stages.1.length"
    read = replace(draft, length=256).read()
    assert [stage.budget.steps for stage in read.stages] == [7, 120, 5]
    assert read.stages[2].rates.lora == 1e-5
    assert [(source.dataset, source.weight) for source in read.stages[1].data] == [
        ("sample-prose", 0.1),
        ("mine", 0.1),
    ]
    assert read.stages[1].length == 256
    emptied = replace(align, datasets=[])
    with pytest.raises(StudioError) as caught:
        emptied.read()
    assert caught.value.details["fault"] == "too_short"


def test_a_budget_changes_its_kind_and_back() -> None:
    draft = replace(preset("recommended"), unit="tokens", budget=9000).show("pretrain").show("align")
    assert (draft.unit, draft.budget) == ("tokens", 9000)
    assert draft.read().stages[0].budget.tokens == 9000
    back = replace(draft, unit="epochs", budget=0.5)
    assert back.read().stages[0].budget.epochs == 0.5
    assert back.show("pretrain").show("align").unit == "epochs"
    assert replace(back, unit="steps", budget=32).show("pretrain").kept == ""


def test_stages_are_switched_off_and_one_at_least_stays() -> None:
    draft = replace(preset("recommended"), stages=["align", "instruct"], kept="stages.2.budget.epochs=1")
    assert [stage.name for stage in draft.read().stages] == ["align", "instruct"]
    assert draft.read().stages[1].budget.epochs == 1, "settings count the stages of the whole recipe"
    with pytest.raises(StudioError) as caught:
        replace(draft, stages=[]).read()
    assert caught.value.code == "recipe.no_stages"


def test_a_vocabulary_is_left_out_taken_or_made_of_another_size(tmp_path: Path) -> None:
    draft = preset("recommended")
    assert (draft.vocabulary, draft.size) == (NEW, 2000)
    assert replace(draft, size=300.0).read().vocabulary.size == 300  # type: ignore[union-attr]
    assert replace(draft, vocabulary="").read().vocabulary is None
    assert replace(draft, vocabulary="123").read().vocabulary == "123"
    studio = open_studio(Settings(tmp_path))
    recipe = training.read_recipe("recommended")
    assert [value for _, value in vocabulary_choices("fa", studio, recipe, recipe.base, "gone")] == ["", NEW, "gone"]
    first = training.read_recipe("first_steps")
    assert [value for _, value in vocabulary_choices("fa", studio, first, first.base, "")] == [""]


def test_advice_lands_in_its_stage_though_others_are_switched_off() -> None:
    draft = replace(
        preset("recommended"), stages=["pretrain", "instruct"], more="quantisation=none\nstages.2.batch = 9"
    )
    settings = ("stages.0.batch=1", "stages.0.accumulation=8", "stages.1.batch=1", "quantisation=nf4", "lora.rank=8")
    settled = draft.show("instruct").settle(settings)
    assert (settled.shown, settled.batch, settled.rank, settled.more) == ("instruct", 1, 8, "quantisation=nf4")
    pretrain = settled.show("pretrain")
    assert (pretrain.batch, pretrain.accumulation) == (1, 8)
    read = settled.read()
    assert [(stage.batch, stage.accumulation) for stage in read.stages] == [(1, 8), (1, 2)]
    assert (read.quantisation, read.lora.rank) == ("nf4", 8)


def test_no_rate_is_shown_that_has_no_effect() -> None:
    recipe = training.read_recipe("llama_persian:no_lora")
    assert [visible_rates(recipe, place)["lora"] for place in range(4)] == [False] * 4
    assert visible_rates(training.read_recipe("recommended"), 0) == {"lora": False, "rows": True}
    assert visible_rates(training.read_recipe("first_steps"), 0) == {"lora": True, "rows": False}
