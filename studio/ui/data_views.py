"""What the data tab shows: found columns, rows in their own direction, figures, imports under way."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.data.manifest import Manifest
from studio.data.sample import Pair, Sample, Text
from studio.errors import StudioError
from studio.i18n import explain, number, say, visible
from studio.jobs.store import ACTIVE, PENDING
from studio.services import datasets, jobs
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.catalogue_views import licence_badge, stored_warnings
from studio.ui.parts import Markup
from studio.ui.plots import histogram

IMPORTS_SHOWN = 3


def sample_row(sample: Sample) -> list[object]:
    """A sample as the cells of a preview row."""
    if isinstance(sample, Text):
        return [_short(sample.text)]
    if isinstance(sample, Pair):
        return [_short(sample.fa), _short(sample.en)]
    turns = [
        Markup(f'<p dir="auto">{parts.code(message.role)} {parts.escape(_short(message.content))}</p>')
        for message in sample.messages
    ]
    return [parts.join(turns)]


def _short(text: str, characters: int = 220) -> str:
    return text if len(text) <= characters else text[:characters] + "…"


def preview_table(locale: str, samples: list[Sample]) -> Markup:
    """The first rows, each cell in its own direction."""
    width = max((len(sample_row(sample)) for sample in samples), default=1)
    roles = {1: ["text"], 2: ["fa", "en"]}[width]
    headers = [say(locale, f"data.role.{role}") for role in roles]
    return parts.table([sample_row(sample) for sample in samples], headers, rtl=locale == "fa")


def manifest_figures(locale: str, manifest: Manifest, median: int | None) -> Markup:
    """The numbers of a stored dataset."""
    items: list[tuple[object, object, object]] = [
        (number(locale, manifest.rows), say(locale, "data.rows"), ""),
        (number(locale, manifest.characters), say(locale, "data.characters"), ""),
        (
            say(locale, "progress.percent", percent=number(locale, round(100 * manifest.persian_share))),
            say(locale, "data.persian_share"),
            say(locale, "data.persian_share_note"),
        ),
    ]
    if median is not None:
        items.append((number(locale, median), say(locale, "data.median_tokens"), ""))
    for label, counts in (("data.dropped", manifest.dropped), ("data.repaired", manifest.trimmed)):
        if counts:
            items.append(
                (number(locale, sum(counts.values())), say(locale, label), _reasons(locale, manifest, counts))
            )
    return parts.figures(items)


def _reasons(locale: str, manifest: Manifest, counts: dict[str, int]) -> str:
    """Why rows were dropped or repaired, how many, and where the first ones stand."""
    comma = "، " if locale == "fa" else ", "
    several = len(manifest.files) > 1
    lines = []
    for reason, count in counts.items():
        # A cleaned dataset has the names of its rules here.
        key = f"clean.rules.{reason}" if manifest.cleaned else f"data.reasons.{reason}"
        line = f"{say(locale, key)}: {number(locale, count)}"
        if places := manifest.places.get(reason):
            rows = comma.join(
                f"{visible(place.file)}:{number(locale, place.row)}" if several else number(locale, place.row)
                for place in places
            )
            line = say(locale, "data.places", line=line, rows=rows + "…" * (count > len(places)))
        lines.append(line)
    return ("؛ " if locale == "fa" else "; ").join(lines)


def found_view(locale: str, found: datasets.Found, offered: str = "") -> Markup:
    """What a look at a file showed; `offered` is an encoding that needs the user's word."""
    columns = ("، " if locale == "fa" else ", ").join(map(visible, found.columns))
    line = say(locale, "data.found_line", format=found.format, encoding=found.encoding, columns=columns)
    rows = preview_table(locale, datasets.preview_mapping(found, found.mapping))
    doubt = (
        parts.banner(say(locale, "data.encoding"), say(locale, "data.encoding_found", encoding=offered), tone="warn")
        if offered
        else ""
    )
    return parts.card(say(locale, "data.found"), parts.join([doubt, parts.paragraph(line), rows]))


def imports_view(locale: str, studio: Studio) -> Markup:
    """Imports under way, and how the last ones ended."""
    recent = [job for job in studio.jobs.listing(kind="import", limit=IMPORTS_SHOWN)]
    shown: list[object] = []
    for job in recent:
        if job.state in (*PENDING, *ACTIVE):
            text = f"{job.title}: {jobs.message(locale, job)}"
            shown.append(parts.progress_bar(job.progress, text, locale=locale))
        elif job.error is not None:
            error = StudioError(job.error["code"], **job.error["details"])
            shown.append(parts.banner(job.title, explain(locale, error), tone="bad"))
        elif job.result is not None:
            shown.append(parts.paragraph(say(locale, "data.done", name=job.title, rows=job.result["rows"]), soft=True))
    return parts.join(shown)


def dataset_view(locale: str, studio: Studio, name: str | None, model: str) -> tuple[str, dict[str, Any]]:
    """Figures and rows of a dataset as HTML, and the picture of its lengths."""
    if not name or not datasets.exists(studio, name):
        empty = parts.empty_state(say(locale, "data.empty_title"), say(locale, "data.empty_body"))
        return empty, gr.update(visible=False)
    manifest = datasets.manifest(studio, name)
    try:
        lengths = datasets.lengths(studio, name, model)
    except StudioError as error:
        lengths, reason = None, explain(locale, error)
    figures = manifest_figures(locale, manifest, None if lengths is None else lengths.median)
    rows = preview_table(locale, datasets.preview(studio, name))
    needs = parts.paragraph(reason, soft=True) if lengths is None else ""
    html = parts.card(
        parts.code(name),
        parts.join(
            [
                stored_warnings(locale, manifest.origin),
                figures,
                needs,
                parts.heading(say(locale, "data.preview")),
                rows,
            ]
        ),
        note=licence_badge(locale, manifest.licence),
    )
    if lengths is None:
        return html, gr.update(visible=False)
    title = say(locale, "data.histogram", model=model)
    spec = histogram(lengths.tokens, title=title, x=say(locale, "data.length_axis"), y=say(locale, "data.rows"))
    return html, gr.update(value=spec, visible=True)
