"""``data import | catalogue | list | delete | clean | mix | report | export``: datasets from anywhere, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studio.commands import mixing
from studio.commands.data_hub import Config, Rows, Split, list_catalogue, names_hub, start_import
from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.data.columns import Mapping, guess
from studio.errors import StudioError
from studio.i18n import say
from studio.services import cleaning, datasets

app = typer.Typer(no_args_is_help=True, help="Datasets: import, catalogue, list, delete, clean, mix, report, export.")
app.command("mix")(mixing.mix)

Columns = Annotated[
    list[str] | None, typer.Option("--column", help="ROLE=COLUMN, as in text=body or prompt=question; repeat it.")
]

app.command("catalogue")(list_catalogue)


Against = Annotated[
    list[Path] | None,
    typer.Option("--against", help="A file of evaluation texts, to be found in the data; repeat it."),
]


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…")],
    name: Annotated[str, typer.Option("--name", help="What the dataset will be called.")],
    column: Columns = None,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Two text files, Persian and English, line N translating line N.")
    ] = False,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Such as windows-1256; else detected.")] = None,
    licence: Annotated[str | None, typer.Option("--licence", help="Licence of the texts, such as CC0-1.0.")] = None,
    config: Config = None,
    split: Split = None,
    rows: Rows = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Import files (txt, csv, tsv, json, jsonl, tmx, parquet; also .gz and .zst), or hub:ORG/NAME, as one dataset."""
    if aligned and column:
        raise typer.BadParameter("the sides of aligned files are found by their letters", param_hint="--column")
    with speaking(json, workspace, language) as speech:
        if names_hub(files):
            _refuse("option_for_files", **{"--encoding": encoding, "--aligned": aligned or None})
            roles = _roles(column or [])
            job = start_import(speech, files[0], name, roles, config=config, split=split, rows=rows, licence=licence)
        else:
            _refuse("option_for_hub", **{"--config": config, "--split": split, "--rows": rows})
            paths = [file.expanduser().resolve() for file in files]
            mapping = None if not column else _mapping(paths, column, encoding)
            job = datasets.start_import(
                speech.studio, paths, name, mapping=mapping, aligned=aligned, encoding=encoding, licence=licence
            )
        speech.tell(speech.follow(job, detach=detach))


@app.command("list")
def list_(json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """List the datasets of the workspace."""
    with speaking(json, workspace, language) as speech:
        found = datasets.listing(speech.studio)
        lines = [f"{each.name}\t{each.kind}\t{each.rows}\t{each.characters}" for each in found]
        speech.tell({"datasets": [each.model_dump(mode="json") for each in found]}, *lines or [""])


@app.command("delete")
def delete(
    name: Annotated[str, typer.Argument(metavar="N")],
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if runs refer to it.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Delete a dataset; says which runs refer to it."""
    with speaking(json, workspace, language) as speech:
        datasets.delete(speech.studio, name, anyway=anyway)
        speech.tell({"deleted": name}, say(speech.locale, "data.deleted", name=name))


@app.command("clean")
def clean(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="llama_persian, documents, chats or pairs; else by the kind of data."),
    ] = None,
    choices: Annotated[
        list[str] | None, typer.Option("--set", help="RULE=off, RULE=on or RULE=NUMBER, as language=0.8; repeat it.")
    ] = None,
    out: Annotated[str | None, typer.Option("--out", help="Name of the new dataset; else NAME-clean.")] = None,
    against: Against = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Clean a dataset into a new one, with a ledger of what was dropped and why; the old one stays."""
    with speaking(json, workspace, language) as speech:
        suites = [file.expanduser().resolve() for file in against or []]
        job = cleaning.start_clean(speech.studio, name, preset=preset, choices=choices or [], out=out, against=suites)
        found = speech.follow(job, detach=detach)
        if found["state"] != "done":
            speech.tell(found)
            return
        dropped = [
            f"{say(speech.locale, f'clean.rules.{rule}')}\t{each['units']}\t{each['bytes']}"
            for rule, each in found["dropped"].items()
        ]
        told = {key: found[key] for key in ("name", "rows_in", "rows_out", "bytes_in", "bytes_out", "seconds")}
        speech.tell(found, *(f"{key}: {value}" for key, value in told.items()), *dropped)


@app.command("report")
def report(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    against: Against = None,
    model: Annotated[str | None, typer.Option("--model", help="Lengths are told in its tokens, too.")] = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Say how healthy a dataset is: language, ye and kaf, half-spaces, duplicates, lengths, licence, contamination."""
    with speaking(json, workspace, language) as speech:
        suites = [file.expanduser().resolve() for file in against or []]
        ended = speech.follow(cleaning.start_report(speech.studio, name, suites, model), detach=detach)
        found = ended | cleaning.report(speech.studio, name)
        speech.tell(found, *(f"{key}: {value}" for key, value in found.items() if key != "ledger"))


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    out: Annotated[Path, typer.Option("--out", help="A new file: .jsonl, .txt or .parquet.")],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Write a dataset to a file."""
    with speaking(json, workspace, language) as speech:
        speech.tell(cleaning.export(speech.studio, name, out.expanduser().resolve()))


def _refuse(reason: str, **options: object) -> None:
    """Refuse options that mean nothing here; `reason` is ``option_for_files`` or ``option_for_hub``."""
    for option, value in options.items():
        if value is not None:
            raise StudioError(f"data.{reason}", option=option)


def _mapping(files: list[Path], columns: list[str], encoding: str | None) -> Mapping:
    found = datasets.look(files, encoding)
    return Mapping.from_roles(_roles(columns), guess(found.columns, found.rows))


def _roles(columns: list[str]) -> dict[str, str]:
    roles = {}
    for each in columns:
        role, equals, column = each.partition("=")
        if not equals:
            raise StudioError("data.bad_column_choice", choice=each)
        roles[role] = column
    return roles
