"""The data tab: drop files, see what was found in them, import, preview and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from studio.data.manifest import Manifest
from studio.data.mapping import FORMS, Form, Mapping, make_mapping
from studio.data.sample import Pair, Sample, Text
from studio.errors import StudioError
from studio.i18n import explain, number, say
from studio.jobs.store import ACTIVE, PENDING
from studio.services import datasets, jobs, models
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.plots import figure_html, histogram
from studio.ui.widgets import html_block, live_panel, pulse

PANEL = "imports"
COLUMN_BOXES = 4
CHOICES_SECONDS = 3.0
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
    dropped = sum(manifest.dropped.values())
    if dropped:
        reasons = "، ".join(f"{say(locale, f'data.reasons.{reason}')}: {number(locale, count)}"
                           for reason, count in manifest.dropped.items())  # fmt: skip
        items.append((number(locale, dropped), say(locale, "data.dropped"), reasons))
    return parts.figures(items)


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
    html = parts.card(parts.code(name), parts.join([figures, needs, parts.heading(say(locale, "data.preview")), rows]))
    if lengths is None:
        return html, gr.update(visible=False)
    title = say(locale, "data.histogram", model=model)
    spec = histogram(lengths.tokens, title=title, x=say(locale, "data.length_axis"), y=say(locale, "data.rows"))
    return html, gr.update(value=spec, visible=True)


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {PANEL: lambda locale, _: imports_view(locale, studio)}


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "data.title"), say(locale, "data.lead")))
    with gr.Row():
        with gr.Column():
            refresh = _import_part(locale, studio)
        with gr.Column():
            html_block(parts.heading(say(locale, "data.starter"), say(locale, "data.starter_info")))
            starter = gr.Dropdown(datasets.starter_names(), label=say(locale, "data.choose"), interactive=True)
            starter_button = gr.Button(say(locale, "data.starter_import"))
            with gr.Accordion(say(locale, "data.hub"), open=False):
                _hub_part(locale, studio, refresh)
    starter_button.click(
        guarded(locale, lambda name: _started(locale, datasets.start_starter_import(studio, name).title)),
        starter,
        refresh,
        api_name="data_import_starter",
        queue=False,
    )
    _stored_part(locale, studio)


def _started(locale: str, name: str) -> str:
    inform(locale, "data.started", name=name)
    return name


def _import_part(locale: str, studio: Studio) -> gr.HTML:
    """Dropping and importing files; returns the live list of imports."""
    files = gr.File(label=say(locale, "data.drop"), file_count="multiple", elem_id="upload")
    found = html_block(elem_id="found")
    form = gr.Dropdown(
        [(say(locale, f"data.form.{form}"), form) for form in FORMS],
        label=say(locale, "data.form"), info=say(locale, "data.form_info"), visible=False, interactive=True,
    )  # fmt: skip
    columns = [gr.Dropdown([], visible=False, interactive=True) for _ in range(COLUMN_BOXES)]
    name = gr.Textbox(label=say(locale, "data.name"), info=say(locale, "data.name_info"), elem_id="dataset-name")
    with gr.Accordion(say(locale, "knobs.advanced"), open=False):
        encoding = gr.Textbox(label=say(locale, "data.encoding"), info=say(locale, "data.encoding_info"))
        licence = gr.Textbox(label=say(locale, "data.licence"), info=say(locale, "data.licence_info"))
    button = gr.Button(say(locale, "data.import"), variant="primary", elem_id="import")
    imports = live_panel(PANEL, elem_id="imports")

    def look(paths: list[str] | None, given: str) -> list[Any]:
        if not paths:
            return ["", gr.update(visible=False), *[gr.update(visible=False)] * COLUMN_BOXES, ""]
        seen = datasets.look([Path(path) for path in paths], given or None)
        line = say(
            locale, "data.found_line", format=seen.format, encoding=seen.encoding, columns="، ".join(seen.columns)
        )
        rows = preview_table(locale, datasets.preview_mapping(seen, seen.mapping))
        card = parts.card(say(locale, "data.found"), parts.join([parts.paragraph(line), rows]))
        boxes = _column_boxes(locale, seen.mapping, seen.columns)
        return [
            card,
            gr.update(value=seen.mapping.form, visible=True),
            *boxes,
            datasets.free_name(studio, seen.file),
        ]

    def change_form(paths: list[str] | None, given: str, chosen: Form) -> list[Any]:
        if not paths:
            return [gr.update(visible=False)] * COLUMN_BOXES
        seen = datasets.look([Path(path) for path in paths], given or None)
        return _column_boxes(locale, datasets.mapping_for(seen, chosen), seen.columns)

    def start(
        paths: list[str] | None, as_name: str, given: str, under: str, chosen: Form | None, *picked: str | None
    ) -> str:
        mapping = None
        if chosen:
            roles = zip(datasets.parts_of(chosen), picked, strict=False)
            mapping = make_mapping(chosen, **{part: column for part, column in roles if column})
        job = datasets.start_import(
            studio,
            [Path(path) for path in paths or []],
            as_name.strip(),
            mapping=mapping,
            encoding=given or None,
            licence=under or None,
            remove_files=True,
        )
        return _started(locale, job.title)

    given = [files, encoding]
    files.change(guarded(locale, look), given, [found, form, *columns, name], api_name="data_look", queue=False)
    encoding.submit(
        guarded(locale, look), given, [found, form, *columns, name], api_name="data_look_again", queue=False
    )
    form.input(guarded(locale, change_form), [*given, form], columns, api_name="data_form", queue=False)
    button.click(
        guarded(locale, start), [files, name, encoding, licence, form, *columns], imports,
        api_name="data_import", queue=False,
    )  # fmt: skip
    return imports


def _column_boxes(locale: str, mapping: Mapping, columns: list[str]) -> list[Any]:
    needed = FORMS[mapping.form].required
    boxes = [
        gr.update(
            label=say(locale, "data.column", role=say(locale, f"data.role.{part}")),
            choices=columns if part in needed else [("—", ""), *columns],
            value=mapping.columns.get(part, None if part in needed else ""),
            visible=True,
        )
        for part in datasets.parts_of(mapping.form)[:COLUMN_BOXES]
    ]
    return [*boxes, *[gr.update(visible=False, value=None)] * (COLUMN_BOXES - len(boxes))]


def _hub_part(locale: str, studio: Studio, imports: gr.HTML) -> None:
    repo = gr.Textbox(label=say(locale, "data.hub_id"), placeholder="org/name", elem_classes=["ltr"])
    with gr.Row():
        config = gr.Textbox(label=say(locale, "data.hub_config"), elem_classes=["ltr"])
        split = gr.Textbox("train", label=say(locale, "data.hub_split"), elem_classes=["ltr"])
        rows = gr.Number(
            10_000, label=say(locale, "data.hub_rows"), info=say(locale, "data.hub_rows_info"), precision=0
        )
    name = gr.Textbox(label=say(locale, "data.name"), info=say(locale, "data.name_info"))
    button = gr.Button(say(locale, "data.hub_import"))

    def start(repo_id: str, config_name: str, split_name: str, limit: float, as_name: str) -> str:
        job = datasets.start_hub_import(
            studio, repo_id.strip(), as_name.strip(), config=config_name, split=split_name,
            rows_limit=int(limit) if limit else None,
        )  # fmt: skip
        return _started(locale, job.title)

    button.click(
        guarded(locale, start), [repo, config, split, rows, name], imports, api_name="data_import_hub", queue=False
    )


def _stored_part(locale: str, studio: Studio) -> None:
    def names() -> list[str]:
        return [manifest.name for manifest in datasets.listing(studio)]

    html_block(parts.heading(say(locale, "data.stored")))
    with gr.Row(elem_classes=["toolbar"]):
        choice = gr.Dropdown(names(), label=say(locale, "data.choose"), interactive=True, elem_id="dataset-choice")
        model = gr.Dropdown(models.choices(studio), label=say(locale, "data.model"), interactive=True)
        delete = gr.Button(say(locale, "data.delete"), variant="stop", scale=0)
        sure = gr.Button(say(locale, "data.delete_sure"), variant="stop", scale=0, visible=False)
    shown = html_block(elem_id="dataset")
    picture = figure_html(locale, elem_id="lengths", visible=False)

    def show(name: str | None, reference: str) -> tuple[str, dict[str, Any]]:
        return dataset_view(locale, studio, name, reference)

    def refresh(name: str | None) -> dict[str, Any]:
        found = names()
        return gr.update(choices=found, value=name if name in found else next(iter(found), None))

    def remove(name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            datasets.delete(studio, name or "")
        except StudioError as error:
            if error.code != "data.in_use":
                raise
            gr.Warning(parts.escape(explain(locale, error)), duration=12, title=say(locale, "toast.warning"))
            return refresh(name), gr.update(visible=True)
        return refresh(None), gr.update(visible=False)

    def remove_anyway(name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        datasets.delete(studio, name or "", anyway=True)
        return refresh(None), gr.update(visible=False)

    pulse(CHOICES_SECONDS).tick(refresh, choice, choice, api_name="data_names", queue=False, show_progress="hidden")
    gr.on(
        [choice.change, model.change], guarded(locale, show), [choice, model], [shown, picture],
        api_name="data_show", queue=False,
    )  # fmt: skip
    delete.click(guarded(locale, remove), choice, [choice, sure], api_name="data_delete", queue=False)
    sure.click(guarded(locale, remove_anyway), choice, [choice, sure], api_name="data_delete_anyway", queue=False)
