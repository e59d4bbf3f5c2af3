"""The plots of a report as files beside its Markdown: SVG that any viewer shows by itself."""

from __future__ import annotations

import re
from pathlib import Path

from studio.services import comparisons, evaluations, reports
from studio.services.studio import Studio
from studio.ui.dumbbell import dumbbell
from studio.ui.parts import Markup
from studio.ui.stage_plot import stage_plot

BITS = "bits"
_DRAWN = re.compile(r'<svg viewBox="(\S+) (\S+) (\S+) (\S+)".*</svg>', re.DOTALL)
_STYLE = (
    "text{fill:#5a6066;font:12px Vazirmatn,Tahoma,sans-serif}line{stroke-width:2;stroke:currentColor}"
    ".grid{stroke:#e3e3df;stroke-width:1}.chance{stroke:#5a6066;stroke-width:1;stroke-dasharray:4 4}"
    ".link{stroke-width:8;opacity:.3}circle{fill:currentColor;stroke:currentColor;stroke-width:2}"
    "circle.base{fill:#fff}polyline{fill:none;stroke:currentColor;stroke-width:2}"
    ".series-1{color:#0072b2}.series-2{color:#d55e00}"
)


def write_pictures(studio: Studio, run: str, locale: str, out: Path) -> dict[str, str]:
    """Write what can be drawn of a run, with labels in one language.

    Returns:
        Names of files in `out`: of the held-out curve under `BITS`, of each suite under ``suite:NAME``.

    Raises:
        StudioError: ``run.unknown``, ``evaluation.*``.
        OSError: If it cannot be written.
    """
    report = reports.of_run(studio, run)
    drawn = {BITS: (BITS, stage_plot(locale, report))}
    for found in evaluations.of_run(studio, run, report.recipe.base, report.stage_names):
        suite, names = found[0].order.suite, [each.order.model for each in found]
        drawn[f"suite:{suite}"] = f"suite-{suite}", dumbbell(locale, comparisons.compare(studio, found), names)
    files = {}
    for key, (name, figure) in drawn.items():
        if figure:
            files[key] = f"{name}.{locale}.svg"
            (out / files[key]).write_text(standalone(figure), encoding="utf8")
    return files


def standalone(figure: Markup) -> str:
    """The picture of a page's figure with its own colours, on white, as a file."""
    found = _DRAWN.search(str(figure))
    if found is None:
        raise ValueError(f"no picture in {str(figure)[:80]!r}")
    x, y, width, height = found.groups()
    paper = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    drawn = head + found[0].removeprefix("<svg ")
    return drawn.replace(">", f"><style>{_STYLE}</style>{paper}", 1)
