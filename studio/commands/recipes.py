"""``recipes list | show | check``: the ways of adapting a model that ship with the studio."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from studio.commands.speech import Json, Language, Workspace, speaking
from studio.i18n import LOCALES, explain, say
from studio.recipes import dump_recipe, variant_names
from studio.services import recipes

app = typer.Typer(no_args_is_help=True, help="Recipes: list, show, check.")


@app.command("list")
def list_(json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """List the recipes with their bases and stages; a variant is run as NAME:VARIANT."""
    with speaking(json, workspace, language) as speech:
        found = [_facts(name) for name in recipes.names(with_variants=True)]
        lines = [f"{each['name']}\t{each['base']}\t{each['description'][speech.locale]}" for each in found]
        speech.tell({"recipes": found}, *lines)


def _facts(name: str) -> dict[str, Any]:
    recipe = recipes.read(name)
    return {
        "name": name,
        "title": {locale: say(locale, f"recipes.{name}.title") for locale in LOCALES},
        "description": {locale: say(locale, f"recipes.{name}") for locale in LOCALES},
        "base": recipe.base,
        "stages": [{"name": stage.name, "kind": stage.kind} for stage in recipe.stages],
        "datasets": recipe.datasets,
    }


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A preset, NAME:VARIANT, or a YAML file.")],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Print a recipe with its comments, ready to be saved, changed and run; a variant as it comes out."""
    with speaking(json, workspace, language) as speech:
        path, variant = recipes.find(name)
        recipe = recipes.read(name)
        text = dump_recipe(recipe) if variant else path.read_text(encoding="utf8")
        facts = {"name": recipe.name, "path": str(path), "variants": variant_names(path)}
        speech.tell({**facts, "recipe": recipe.model_dump(mode="json")}, text.rstrip("\n"))


@app.command("check")
def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Else all that ship.")] = None,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Find what cannot work in recipes and their smoke runs; exit status 1 if anything is found.

    Datasets that are missing in the workspace are named, but are no fault of a recipe.
    """
    with speaking(json, workspace, language) as speech:
        found = [recipes.check(speech.studio, name) for name in names or recipes.names(with_variants=True)]
        told = [
            {
                "name": each.name,
                "ok": each.ok,
                "problems": [
                    {"error": fault.code, "message": explain(speech.locale, fault), "details": fault.details}
                    for fault in each.problems
                ],
                "missing": each.missing,
            }
            for each in found
        ]
        lines = [
            "\t".join(
                [
                    each.name,
                    *([explain(speech.locale, fault) for fault in each.problems] or [_fine(speech.locale, each)]),
                ]
            )
            for each in found
        ]
        speech.tell({"recipes": told}, *lines)
        if not all(each.ok for each in found):
            raise typer.Exit(1)


def _fine(locale: str, checked: recipes.Checked) -> str:
    if not checked.missing:
        return say(locale, "recipes.check.ok")
    return say(locale, "recipes.check.missing", names=", ".join(checked.missing))
