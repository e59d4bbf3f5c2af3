"""The data tab: drop files, see what was found in them, import, preview and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from studio.data.mapping import FORMS, Form, Mapping, make_mapping
from studio.errors import StudioError
from studio.i18n import explain, say
from studio.services import datasets, models
from studio.services.studio import Studio
from studio.ui import data_mix, parts
from studio.ui.data_views import dataset_view, found_view, imports_view
from studio.ui.handlers import guarded, inform
from studio.ui.plots import figure_html
from studio.ui.widgets import PLAIN, html_block, live_panel, pulse

PANEL = "imports"
COLUMN_BOXES = 4
CHOICES_SECONDS = 3.0


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {PANEL: lambda locale, _: imports_view(locale, studio), **data_mix.panels(studio)}


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
        **PLAIN,
    )
    _stored_part(locale, studio)
    data_mix.build(locale, studio)


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
    columns = [gr.Dropdown([], visible=False, interactive=True, allow_custom_value=True) for _ in range(COLUMN_BOXES)]
    name = gr.Textbox("", label=say(locale, "data.name"), info=say(locale, "data.name_info"), elem_id="dataset-name")
    with gr.Accordion(say(locale, "knobs.advanced"), open=False):
        encoding = gr.Textbox("", label=say(locale, "data.encoding"), info=say(locale, "data.encoding_info"))
        licence = gr.Textbox("", label=say(locale, "data.licence"), info=say(locale, "data.licence_info"))
    button = gr.Button(say(locale, "data.import"), variant="primary", elem_id="import")
    imports = live_panel(PANEL, elem_id="imports")

    def look(paths: list[str] | None, given: str) -> list[Any]:
        if not paths:
            return ["", gr.update(visible=False), *[gr.update(visible=False)] * COLUMN_BOXES, "", given]
        places = [Path(path) for path in paths]
        offered = ""
        try:
            seen = datasets.look(places, given or None)
        except StudioError as error:
            if error.code != "data.encoding":
                raise
            # The guess needs the user's word: show what it would give, and fill it in.
            offered = given = str(error.details["guess"])
            seen = datasets.look(places, given)
        boxes = _column_boxes(locale, seen.mapping, seen.columns)
        form_box = gr.update(value=seen.mapping.form, visible=True)
        return [found_view(locale, seen, offered), form_box, *boxes, datasets.free_name(studio, seen.file), given]

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
    shown = [found, form, *columns, name, encoding]
    files.change(guarded(locale, look), given, shown, api_name="data_look")
    encoding.submit(guarded(locale, look), given, shown, api_name="data_look_again")
    form.input(guarded(locale, change_form), [*given, form], columns, api_name="data_form")
    button.click(
        guarded(locale, start), [files, name, encoding, licence, form, *columns], imports,
        api_name="data_import",
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
    repo = gr.Textbox("", label=say(locale, "data.hub_id"), placeholder="org/name", elem_classes=["ltr"])
    with gr.Row():
        config = gr.Textbox("", label=say(locale, "data.hub_config"), elem_classes=["ltr"])
        split = gr.Textbox("train", label=say(locale, "data.hub_split"), elem_classes=["ltr"])
        rows = gr.Number(
            10_000, label=say(locale, "data.hub_rows"), info=say(locale, "data.hub_rows_info"), precision=0
        )
    name = gr.Textbox("", label=say(locale, "data.name"), info=say(locale, "data.name_info"))
    button = gr.Button(say(locale, "data.hub_import"))

    def start(repo_id: str, config_name: str, split_name: str, limit: float, as_name: str) -> str:
        job = datasets.start_hub_import(
            studio, repo_id.strip(), as_name.strip(), config=config_name, split=split_name,
            rows_limit=int(limit) if limit else None,
        )  # fmt: skip
        return _started(locale, job.title)

    button.click(
        guarded(locale, start), [repo, config, split, rows, name], imports, api_name="data_import_hub", **PLAIN
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

    pulse(CHOICES_SECONDS).tick(
        refresh, choice, choice, api_name="data_names", queue=False, show_progress="hidden", **PLAIN
    )
    gr.on(
        [choice.change, model.change], guarded(locale, show), [choice, model], [shown, picture],
        api_name="data_show", **PLAIN,
    )  # fmt: skip
    delete.click(guarded(locale, remove), choice, [choice, sure], api_name="data_delete", **PLAIN)
    sure.click(guarded(locale, remove_anyway), choice, [choice, sure], api_name="data_delete_anyway", **PLAIN)
