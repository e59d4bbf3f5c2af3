"""``run RECIPE [--smoke] [--stage NAME]`` and ``estimate RECIPE``: train, or see first what that takes."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.errors import StudioError
from studio.i18n import bytes_text, duration_text, say
from studio.services import branching, estimates, recipes, training
from studio.services.estimates import Before


def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A YAML file or a preset (see recipes list), also as NAME:VARIANT.")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="As in stages.0.budget.steps=8; repeat it.")
    ] = None,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Every stage for two steps on a starter model and the studio's own samples."),
    ] = False,
    stage: Annotated[
        str | None,
        typer.Option("--stage", metavar="NAME", help="Only this stage; it starts from the base, not from the others."),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="Take over what this run finished of the same first stages."),
    ] = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Train from a recipe; the base and the studio's own texts are fetched first where they are missing."""
    with speaking(json, workspace, language) as speech:
        wanted = recipes.read(recipe, set_ or (), small=smoke, stage=stage)
        branch = None if origin is None else branching.plan(speech.studio, wanted, origin)
        job = training.start(speech.studio, wanted, branch, smoke=smoke)
        told = speech.follow(job, detach=detach)
        speech.tell(told if branch is None else told | branch.facts())


def estimate(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE.yaml", help="A YAML file, or the name of a preset.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="As in stages.0.batch=1; repeat it.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="config.json of a base that is not on this disk.")
    ] = None,
    price: Annotated[
        float | None, typer.Option("--price", min=0, help="Of an hour of this machine; stages then tell their cost.")
    ] = None,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """What a recipe takes before it starts: parameters, memory by part, time, disk, and what to change."""
    with speaking(json, workspace, language) as speech:
        wanted = recipes.read(recipe, set_ or ())
        given = None if config is None else _read_config(config)
        found = estimates.before(speech.studio, wanted, config=given, price=price)
        speech.tell(estimates.as_json(found), *_lines(speech.locale, found))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        found = json_.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise StudioError("estimate.no_config", file=str(path)) from error
    if not isinstance(found, dict):
        raise StudioError("estimate.no_config", file=str(path))
    return found


def _lines(locale: str, found: Before) -> list[str]:
    whole = found.estimate
    lines = []
    for stage in whole.stages:
        unknown = say(locale, "estimate.no_time")
        lines.append(
            say(
                locale, "estimate.line", stage=stage.name, kind=say(locale, f"train.stage.{stage.kind}"),
                parameters=stage.parameters, trainable=stage.trainable,
                memory=bytes_text(locale, stage.memory_bytes), disk=bytes_text(locale, stage.disk_bytes),
                time=unknown if stage.seconds is None else duration_text(locale, stage.seconds),
            )
        )  # fmt: skip
        lines += [
            f"  {say(locale, f'estimate.part.{part}')}: {bytes_text(locale, size)}"
            for part, size in stage.memory.items()
            if size
        ]
    sizes = {"needed": bytes_text(locale, whole.memory_bytes), "free": bytes_text(locale, whole.free_bytes)}
    lines.append(say(locale, "estimate.fits" if whole.fits else "estimate.too_much", **sizes))
    if not whole.fits:
        lines.append(estimates.advice_sentence(locale, found))
        lines += [f"  --set {setting}" for setting in ([] if found.advice is None else found.advice.settings)]
    return lines
