"""The data tab: drop files, see what was found in them, import, preview and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from studio.data.mapping import FORMS, Mapping, make_mapping
from studio.errors import StudioError
from studio.i18n import say
from studio.services import datasets
from studio.services.studio import Studio
from studio.ui import data_catalogue, data_clean, data_health, data_mix, data_stored, parts
from studio.ui.data_views import found_view, imports_view
from studio.ui.handlers import guarded, inform
from studio.ui.widgets import PLAIN, html_block, live_panel

PANEL = "imports"
COLUMN_BOXES = 4
ALIGNED = "aligned"
"""A choice beside `FORMS`: two files, of which line N of one translates line N of the other."""


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {
        PANEL: lambda locale, _: imports_view(locale, studio),
        data_health.PANEL: lambda locale, name: data_health.health_view(locale, studio, name),
        data_clean.PANEL: lambda locale, name: data_clean.cleaning_view(locale, studio, name),
        **data_catalogue.panels(studio),
        **data_mix.panels(studio),
    }


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
                data_catalogue.build(locale, studio, refresh)
    starter_button.click(
        guarded(locale, lambda name: _started(locale, datasets.start_starter_import(studio, name).title)),
        starter,
        refresh,
        api_name="data_import_starter",
        **PLAIN,
    )
    data_stored.build(locale, studio)
    data_mix.build(locale, studio)


def _started(locale: str, name: str) -> str:
    inform(locale, "data.started", name=name)
    return name


def _import_part(locale: str, studio: Studio) -> gr.HTML:
    """Dropping and importing files; returns the live list of imports."""
    files = gr.File(label=say(locale, "data.drop"), file_count="multiple", elem_id="upload")
    found = html_block(elem_id="found")
    form = gr.Dropdown(
        _forms(locale, 2), label=say(locale, "data.form"), info=say(locale, "data.form_info"), visible=False,
        interactive=True, elem_id="form",
    )  # fmt: skip
    columns = [gr.Dropdown([], visible=False, interactive=True, allow_custom_value=True) for _ in range(COLUMN_BOXES)]
    name = gr.Textbox("", label=say(locale, "data.name"), info=say(locale, "data.name_info"), elem_id="dataset-name")
    with gr.Accordion(say(locale, "knobs.advanced"), open=False):
        encoding = gr.Textbox("", label=say(locale, "data.encoding"), info=say(locale, "data.encoding_info"))
        licence = gr.Textbox("", label=say(locale, "data.licence"), info=say(locale, "data.licence_info"))
    button = gr.Button(say(locale, "data.import"), variant="primary", elem_id="import")
    imports = live_panel(PANEL, elem_id="imports")

    def look(paths: list[str] | None, given: str) -> list[Any]:
        return _look(locale, studio, [Path(path) for path in paths or []], given)

    def change_form(paths: list[str] | None, given: str, chosen: str) -> list[Any]:
        return _change_form(locale, [Path(path) for path in paths or []], given, chosen)

    def start(
        paths: list[str] | None, as_name: str, given: str, under: str, chosen: str | None, *picked: str | None
    ) -> str:
        job = datasets.start_import(
            studio,
            [Path(path) for path in paths or []],
            as_name.strip(),
            mapping=_mapping(chosen, picked),
            aligned=chosen == ALIGNED,
            encoding=given or None,
            licence=under or None,
            remove_files=True,
        )
        return _started(locale, job.title)

    given = [files, encoding]
    shown = [found, form, *columns, name, encoding]
    files.change(guarded(locale, look), given, shown, api_name="data_look")
    encoding.submit(guarded(locale, look), given, shown, api_name="data_look_again")
    form.input(
        guarded(locale, change_form),
        [*given, form],
        [found, *columns],
        api_name="data_form",
        trigger_mode="always_last",
    )
    button.click(
        guarded(locale, start), [files, name, encoding, licence, form, *columns], imports,
        api_name="data_import",
    )  # fmt: skip
    return imports


def _forms(locale: str, files: int) -> list[tuple[str, str]]:
    """What data can be; two files can also be the lines of a translation."""
    return [(say(locale, f"data.form.{form}"), form) for form in [*FORMS, *([ALIGNED] if files == 2 else [])]]


def _look(locale: str, studio: Studio, files: list[Path], given: str) -> list[Any]:
    if not files:
        return ["", gr.update(visible=False), *[gr.update(visible=False)] * COLUMN_BOXES, "", given]
    offered = ""
    try:
        seen = datasets.look(files, given or None)
    except StudioError as error:
        if error.code != "data.encoding":
            raise
        # The guess needs the user's word: show what it would give, and fill it in.
        offered = given = str(error.details["guess"])
        seen = datasets.look(files, given)
    pairs = _aligned(files, given)
    seen, chosen = (seen, seen.mapping.form) if pairs is None else (pairs, ALIGNED)
    boxes = _no_boxes() if pairs else _column_boxes(locale, seen.mapping, seen.columns)
    form = gr.update(choices=_forms(locale, len(files)), value=chosen, visible=True)
    return [found_view(locale, seen, offered), form, *boxes, datasets.free_name(studio, seen.file), given]


def _aligned(files: list[Path], encoding: str) -> datasets.Found | None:
    """Two files as pairs, if one is Persian and the other English; None for any other files."""
    if len(files) != 2:
        return None
    try:
        return datasets.look_aligned(files, encoding or None)
    except StudioError:  # then they are two files of one kind, which `look` has read already
        return None


def _change_form(locale: str, files: list[Path], encoding: str, chosen: str) -> list[Any]:
    if not files:
        return ["", *_no_boxes()]
    if chosen == ALIGNED:
        return [found_view(locale, datasets.look_aligned(files, encoding or None)), *_no_boxes()]
    seen = datasets.look(files, encoding or None)
    mapping = datasets.mapping_for(seen, next(form for form in FORMS if form == chosen))
    return [found_view(locale, seen), *_column_boxes(locale, mapping, seen.columns)]


def _mapping(chosen: str | None, picked: tuple[str | None, ...]) -> Mapping | None:
    form = next((form for form in FORMS if form == chosen), None)
    if form is None:
        return None
    roles = zip(datasets.parts_of(form), picked, strict=False)
    return make_mapping(form, **{part: column for part, column in roles if column})


def _no_boxes() -> list[Any]:
    return [gr.update(visible=False, value=None)] * COLUMN_BOXES


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
    return [*boxes, *_no_boxes()[len(boxes) :]]
