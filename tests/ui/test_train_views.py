"""Recipes on the training tab: readable names, what they are for, and knobs that leave the rest as it is."""

from __future__ import annotations

from html import unescape

import pytest

from studio.i18n import LOCALES, say
from studio.services import training
from studio.ui.train_tab import changed_recipe, recipe_choices, recipe_view


@pytest.mark.parametrize("locale", LOCALES)
def test_every_recipe_has_a_readable_name_and_a_description(locale: str) -> None:
    choices = recipe_choices(locale)
    assert [name for _, name in choices[:2]] == ["first_steps", "recommended"]
    assert sorted(name for _, name in choices) == training.recipe_names()
    assert len({title for title, _ in choices}) == len(choices)
    for title, name in choices:
        assert title != name
        assert say(locale, f"recipes.{name}") in unescape(recipe_view(locale, name))


def test_a_recipe_shows_its_stages_and_what_to_bring() -> None:
    shown = recipe_view("en", "persian_phi")
    assert shown.index("align · warm-up") < shown.index("pretrain · pretrain") < shown.index("instruct · instruct")
    assert "fa-web, fa-en-stories, fa-instructions" in shown
    assert say("en", "train.bring", names="").strip() not in recipe_view("en", "recommended")


def test_untouched_knobs_leave_a_recipe_as_it_is() -> None:
    for name in training.recipe_names():
        recipe = training.read_recipe(name)
        same = changed_recipe(name, recipe.base, recipe.stages[0].data[0].dataset, {"stages.0.budget.steps": None})
        assert same == recipe
    assert changed_recipe("recommended", "local:/x", "mine", {}).stages[0].data[0].dataset == "mine"
    assert len(changed_recipe("recommended", "local:/x", "mine", {}).stages[0].data) == 1
