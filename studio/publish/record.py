"""``export.json``: what a folder made for publishing is, where it came from, what was proved of it, and its hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from studio.errors import StudioError

RECORD = "export.json"
CARD = "README.md"

Kind = Literal["merged", "adapter", "gguf"]


class KeptFile(BaseModel):
    """One file of an export as it was when its checks had passed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class Record(BaseModel):
    """What is known of an export.

    `run` is the ``run:`` reference that it was made of and `base` the reference of the base. `checks` holds what was
    proved, with its figures. `files` are all files but the card, which its owner may edit, and this record.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    run: str
    base: str
    made: datetime
    checks: dict[str, Any]
    files: dict[str, KeptFile]


def write_record(folder: Path, kind: Kind, run: str, base: str, checks: Mapping[str, Any]) -> Record:
    """Write the record of a folder whose checks have passed; every file in it is read once for its hash."""
    files = {name: _kept(folder / name) for name in _names(folder)}
    record = Record(kind=kind, run=run, base=base, made=datetime.now(UTC), checks=dict(checks), files=files)
    (folder / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf8")
    return record


def read_record(folder: Path) -> Record | None:
    """The record of an export; None if `folder` has none.

    Raises:
        StudioError: ``publish.record_broken`` if it is not one of this studio's.
    """
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        return Record.model_validate_json(path.read_text(encoding="utf8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise StudioError("publish.record_broken", folder=folder.name) from error


def check_record(folder: Path) -> Record:
    """The record of a folder whose files are still those that were checked; all of them are read.

    Raises:
        StudioError: ``publish.not_checked`` without a record; ``publish.record_broken``; ``publish.changed_since``
            naming the first `file` that was changed, removed or added after the checks.
    """
    record = read_record(folder)
    if record is None:
        raise StudioError("publish.not_checked", folder=folder.name)
    found = _names(folder)
    odd = sorted(set(found) ^ set(record.files))
    odd += [name for name in found if name in record.files and _kept(folder / name) != record.files[name]]
    if odd:
        raise StudioError("publish.changed_since", folder=folder.name, file=odd[0])
    return record


def check_merged(folder: Path, run: str) -> Record | None:
    """The record of a folder that is a merge of `run` (a ``run:`` reference), or has no record; no file is read.

    Raises:
        StudioError: ``publish.not_merged`` for another kind of export; ``publish.of_another_run``;
            ``publish.record_broken``.
    """
    record = read_record(folder)
    if record is not None and record.kind != "merged":
        raise StudioError("publish.not_merged", folder=folder.name, kind=record.kind)
    if record is not None and record.run != run:
        raise StudioError("publish.of_another_run", folder=folder.name, run=run, made=record.run)
    return record


def _names(folder: Path) -> list[str]:
    files = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for name in files if name not in (RECORD, CARD)]


def _kept(path: Path) -> KeptFile:
    with path.open("rb") as file:
        return KeptFile(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
