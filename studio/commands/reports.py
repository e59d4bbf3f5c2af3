"""``report RUN``: what each stage of a run took and gave."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.commands.speech import Json, Language, Workspace, speaking
from studio.i18n import number, say
from studio.models.reference import parse_reference
from studio.services import reports
from studio.services.reports import Report


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or run:ID.")],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Tell steps, tokens, time, loss and held-out bits per byte of each stage; with --json answers and hashes too."""
    with speaking(json, workspace, language) as speech:
        name = parse_reference(run).name if run.startswith("run:") else run
        found = reports.of_run(speech.studio, name)
        speech.tell(reports.as_json(found), *_lines(speech.locale, found))


def _lines(locale: str, found: Report) -> list[str]:
    lines = []
    for stage in found.stages:
        loss = "—" if stage.loss is None else number(locale, stage.loss, 3)
        facts = {"steps": stage.steps, "tokens": stage.tokens, "characters": stage.characters, "loss": loss}
        lines.append(say(locale, "report.line", stage=stage.name, **facts))
        if stage.bits_per_byte:
            said = ", ".join(f"{language} {number(locale, bits, 3)}" for language, bits in stage.bits_per_byte.items())
            lines.append(say(locale, "report.bits_line", bits=said))
    return lines
