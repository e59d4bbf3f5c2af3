"""``share``: what visitors may talk to and read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from studio.commands.speech import Json, Language, Workspace, speaking
from studio.i18n import say
from studio.services import sharing


def share(
    model: Annotated[list[str] | None, typer.Option("--model", help="As in run:ID; repeat it.")] = None,
    report: Annotated[list[str] | None, typer.Option("--report", metavar="RUN", help="Repeat it.")] = None,
    nothing: Annotated[bool, typer.Option("--nothing", help="Take everything back.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Share exactly these with visitors; without any, say what is shared."""
    with speaking(json, workspace, language) as speech:
        change = nothing or model or report
        found = sharing.share(speech.studio, model or [], report or []) if change else sharing.shared(speech.studio)
        counts = {"models": len(found.models), "reports": len(found.reports)}
        speech.tell(asdict(found), say(speech.locale, "share.done", **counts), *found.models, *found.reports)
