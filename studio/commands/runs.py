"""``run RECIPE``: train from a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.services import training


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE.yaml", help="A YAML file, or the name of a preset.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="As in stages.0.budget.steps=8; repeat it.")
    ] = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Train from a recipe; the base and the studio's own texts are fetched first where they are missing."""
    with speaking(json, workspace, language) as speech:
        job = training.start(speech.studio, training.read_recipe(recipe, set_ or ()))
        speech.tell(speech.follow(job, detach=detach))
