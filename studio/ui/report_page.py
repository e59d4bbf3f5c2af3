"""The report of a run as a page of its own: one file, both languages, no script and nothing fetched."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from studio.i18n import LOCALES, say
from studio.services import evaluations, reports
from studio.services.studio import Studio
from studio.settings import ASSETS
from studio.ui import parts, report_views
from studio.ui.evaluate_views import results_view

_FONT = re.compile(r"url\((fonts/[^)]+)\)")


def report_page(studio: Studio, run: str) -> str:
    """The whole page; the Persian report first.

    Raises:
        StudioError: ``run.unknown``, ``evaluation.*``.
    """
    report = reports.of_run(studio, run)
    asked = evaluations.of_run(studio, run, report.recipe.base, report.stage_names)
    sections = []
    for locale in LOCALES:
        body = parts.join(
            [report_views.report_view(locale, report), *(results_view(locale, studio, found) for found in asked)]
        )
        direction = "rtl" if locale == "fa" else "ltr"
        heading = parts.heading(say(locale, "report.title"), run)
        sections.append(f'<section lang="{locale}" dir="{direction}">{heading}{body}</section>')
    return (
        '<!doctype html><html lang="fa" dir="rtl"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{parts.escape(run)}</title><style>{_style()}</style></head>"
        f'<body class="gradio-container report">{"".join(sections)}</body></html>'
    )


def write(studio: Studio, run: str, out: Path) -> Path:
    """Put the page into a folder as ``report.html``.

    Raises:
        OSError: If it cannot be written.
    """
    path = out / "report.html"
    path.write_text(report_page(studio, run), encoding="utf8")
    return path


def _style() -> str:
    """The studio's own, with its fonts inside: the file may be sent on alone."""

    def inside(found: re.Match[str]) -> str:
        data = base64.b64encode((ASSETS / found[1]).read_bytes()).decode()
        return f"url(data:font/woff2;base64,{data})"

    return _FONT.sub(inside, (ASSETS / "studio.css").read_text(encoding="utf8"))
