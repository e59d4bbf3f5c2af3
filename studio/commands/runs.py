"""``run RECIPE [--smoke] [--stage NAME]``: train from a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.services import recipes, training


def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A YAML file or a preset (see recipes list), also as NAME:VARIANT.")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="As in stages.0.budget.steps=8; repeat it.")
    ] = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Every stage for three steps on a starter model and the studio's own samples."),
    ] = False,
    stage: Annotated[
        str | None,
        typer.Option("--stage", metavar="NAME", help="Only this stage; it starts from the base, not from the others."),
    ] = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Train from a recipe; the base and the studio's own texts are fetched first where they are missing."""
    with speaking(json, workspace, language) as speech:
        job = training.start(speech.studio, recipes.read(recipe, set_ or (), small=smoke, stage=stage))
        speech.tell(speech.follow(job, detach=detach))
