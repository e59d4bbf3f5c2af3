"""``data catalogue`` and the part of ``data import`` that reads from the Hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from studio.commands.speech import Json, Language, Speech, Workspace, speaking
from studio.data.catalogue import ROWS, WARNINGS, entry_of, warnings_of
from studio.data.hub import check_id
from studio.dates import date_text
from studio.errors import StudioError
from studio.i18n import say
from studio.jobs.store import Job
from studio.services import catalogue, datasets

PREFIX = "hub:"

Config = Annotated[str | None, typer.Option("--config", help="Of a Hub dataset: its configuration.")]
Split = Annotated[str | None, typer.Option("--split", help="Of a Hub dataset: the split; else train.")]
Rows = Annotated[
    int | None, typer.Option("--rows", min=0, help=f"Of a Hub dataset: most rows, 0 for all; else {ROWS}.")
]


def names_hub(files: Sequence[Path]) -> bool:
    """Whether `data import` was given a Hub id.

    Raises:
        StudioError: ``data.hub_alone`` if other names stand beside it.
    """
    found = [file for file in files if str(file).startswith(PREFIX)]
    if found and len(files) > 1:
        raise StudioError("data.hub_alone")
    return bool(found)


def start_import(
    speech: Speech,
    place: Path,
    name: str,
    roles: dict[str, str] | None,
    *,
    config: str | None,
    split: str | None,
    rows: int | None,
    licence: str | None,
) -> Job:
    """Queue the import of ``hub:org/name``; what the catalogue warns of is said on stderr before."""
    repo = check_id(str(place).removeprefix(PREFIX))
    known = entry_of(repo)
    for code in warnings_of(known, known.licence) if known else ():
        title, advice = (say(speech.locale, f"catalogue.warning.{code}{end}") for end in ("", ".do"))
        sys.stderr.write(f"! {title}. {advice}\n")
    return datasets.start_hub_import(
        speech.studio,
        repo,
        name,
        config=config,
        split=split,
        rows_limit=ROWS if rows is None else rows or None,
        roles=roles,
        licence=licence,
    )


def list_catalogue(
    check: Annotated[bool, typer.Option("--check", help="First ask the Hub whether the datasets are there.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """List datasets that help a model learn Persian, with licences and warnings."""
    with speaking(json, workspace, language) as speech:
        payload: dict[str, Any] = {}
        if check:
            asked = speech.follow(catalogue.start_check(speech.studio), detach=False)
            payload["check"] = {key: asked.get(key) for key in ("checked", "states")}
        found = catalogue.offers(speech.studio)
        payload["datasets"] = [each.as_json() for each in found]
        speech.tell(payload, *(_line(speech.locale, each) for each in found))


def _line(locale: str, offer: catalogue.Offer) -> str:
    facts, comma, stop = offer.entry, *(("، ", "؛ ") if locale == "fa" else (", ", "; "))
    state = say(locale, f"catalogue.state.{offer.finding.state}" if offer.finding else "catalogue.state.never")
    if offer.finding:
        state = say(locale, "catalogue.on", state=state, date=date_text(locale, offer.finding.checked))
    warnings = [say(locale, f"catalogue.warning.{code}") for code in WARNINGS if code in facts.warnings]
    if facts.unverified:
        fields = comma.join(say(locale, f"catalogue.field.{field}") for field in facts.unverified)
        warnings.append(f"{say(locale, 'catalogue.unverified')}: {fields}")
    place = f"{PREFIX}{facts.id}" if facts.id else facts.where or ""
    licence = facts.licence or say(locale, "licence.none")
    kind = say(locale, f"catalogue.kind.{facts.kind}")
    said = state if facts.id else say(locale, "catalogue.bring")
    return "\t".join([facts.name, place, kind, licence, said, stop.join(warnings)])
