"""Held-out bits per byte from the base through the stages; lower is better."""

from __future__ import annotations

from studio.i18n import say
from studio.services.reports import Report
from studio.ui.line_picture import Line, line_picture
from studio.ui.parts import Markup

LANGUAGES = ("fa", "en")


def stage_plot(locale: str, report: Report) -> Markup:
    """A line for each language; nothing where fewer than two points were measured."""
    points = [report.base_bits, *(stage.bits_per_byte for stage in report.stages)]
    places = [say(locale, "report.base"), *(stage.name for stage in report.stages)]
    lines = [
        Line(
            say(locale, f"curves.bits_{language}"),
            [(place, bits[language]) for place, bits in enumerate(points) if language in bits],
        )
        for language in LANGUAGES
    ]
    return line_picture(locale, say(locale, "curves.bits"), places, lines)
