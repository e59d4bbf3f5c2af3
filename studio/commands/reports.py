"""``report RUN``: what each stage of a run took and gave."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studio.commands.speech import Json, Language, Workspace, speaking
from studio.errors import StudioError
from studio.i18n import LOCALES, number, say
from studio.models.reference import parse_reference
from studio.services import report_text, reports
from studio.services.cost_text import cost_lines
from studio.services.reports import Report
from studio.services.studio import Studio


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or run:ID.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write it there: report.html, report.fa.md, report.en.md, pictures."),
    ] = None,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Tell steps, tokens, time, loss and held-out bits per byte of each stage; with --json answers and hashes too."""
    with speaking(json, workspace, language) as speech:
        name = parse_reference(run).name if run.startswith("run:") else run
        found = reports.of_run(speech.studio, name)
        files = [] if out is None else _write(speech.studio, name, out.expanduser())
        told = {**reports.as_json(found), **({"files": [str(file) for file in files]} if files else {})}
        speech.tell(told, *_lines(speech.locale, found), *map(str, files))


def _write(studio: Studio, run: str, out: Path) -> list[Path]:
    """The report as files for others to read.

    Raises:
        StudioError: ``report.out_not_writable``.
    """
    from studio.ui import report_page, report_pictures

    try:
        out.mkdir(parents=True, exist_ok=True)
        files = [report_page.write(studio, run, out)]
        for locale in LOCALES:
            pictures = report_pictures.write_pictures(studio, run, locale, out)
            files += [out / f"report.{locale}.md", *(out / name for name in pictures.values())]
            text = report_text.markdown(studio, run, locale, pictures)
            (out / f"report.{locale}.md").write_text(text, encoding="utf8")
    except OSError as error:
        raise StudioError("report.out_not_writable", out=str(out), reason=error.strerror or str(error)) from error
    return files


def _lines(locale: str, found: Report) -> list[str]:
    lines = []
    for stage in found.stages:
        loss = "—" if stage.loss is None else number(locale, stage.loss, 3)
        facts = {"steps": stage.steps, "tokens": stage.tokens, "characters": stage.characters, "loss": loss}
        lines.append(say(locale, "report.line", stage=stage.name, **facts))
        if stage.bits_per_byte:
            said = ", ".join(f"{language} {number(locale, bits, 3)}" for language, bits in stage.bits_per_byte.items())
            lines.append(say(locale, "report.bits_line", bits=said))
    told = [] if found.cost is None else cost_lines(locale, found.cost)
    return [*lines, *(f"{label}: {value}{f' ({note})' if note else ''}" for value, label, note in told)]
