"""Model cards of exports: read, edited by hand, and put back as the studio wrote them."""

from __future__ import annotations

import os
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.models.reference import parse_reference
from studio.publish.cards import edits as card_edits
from studio.publish.cards.metadata import front_matter
from studio.publish.record import CARD, Record, read_record
from studio.services.studio import Studio

LIMIT = 1_000_000
"""Bytes of a card; the longest that we have written has a fiftieth of that."""


@owner_only
def read(studio: Studio, folder: str) -> str:
    """The card of an export.

    Raises:
        StudioError: ``card.no_export``, ``publish.record_broken``.
    """
    found, _ = _export(studio, folder)
    return (found / CARD).read_text(encoding="utf8")


@owner_only
def save(studio: Studio, folder: str, text: str) -> None:
    """Put an edited card in place; the next export of the same run and kind takes the edits over.

    Raises:
        StudioError: ``card.bad_metadata`` with the `reason`, ``card.too_large``, ``card.no_export``,
            ``publish.record_broken``; the card is then as it was.
    """
    found, record = _export(studio, folder)
    whole = text.replace("\r\n", "\n").rstrip("\n") + "\n"  # browsers send a form's lines with both
    size = len(whole.encode())
    if size > LIMIT:
        raise StudioError("card.too_large", bytes=size, limit=LIMIT)
    front_matter(whole)
    _replace(found / CARD, whole)
    if (run := _run(studio, record)) is not None:
        card_edits.keep_edits(run, record.kind, found.name, whole)


@owner_only
def reset(studio: Studio, folder: str) -> str:
    """Put the card back that the studio wrote for this export, forget the edits, and return it.

    Raises:
        StudioError: ``card.no_original`` if its run is gone; ``card.no_export``, ``publish.record_broken``.
    """
    found, record = _export(studio, folder)
    run = _run(studio, record)
    original = None if run is None else card_edits.made_card(run, found.name)
    if run is None or original is None:
        raise StudioError("card.no_original", folder=found.name)
    _replace(found / CARD, original)
    card_edits.forget_edits(run, record.kind)
    return original


@owner_only
def is_edited(studio: Studio, folder: str) -> bool:
    """Whether an export's card is another than the studio wrote for it; False where that one is not kept.

    Raises:
        StudioError: ``card.no_export``, ``publish.record_broken``.
    """
    found, record = _export(studio, folder)
    run = _run(studio, record)
    original = None if run is None else card_edits.made_card(run, found.name)
    return original is not None and original != (found / CARD).read_text(encoding="utf8")


def _export(studio: Studio, folder: str) -> tuple[Path, Record]:
    path = studio.settings.exports / folder
    plain = folder and folder == Path(folder).name and not folder.startswith(".")
    record = read_record(path) if plain and (path / CARD).is_file() else None
    if record is None:
        raise StudioError("card.no_export", folder=folder)
    return path, record


def _run(studio: Studio, record: Record) -> Path | None:
    """The folder of the run that an export was made of, while it is there."""
    try:
        parsed = parse_reference(record.run)
    except StudioError:
        return None
    path = studio.settings.runs / parsed.name
    return path if parsed.scheme == "run" and path.is_dir() else None


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf8")
    aside.replace(path)
