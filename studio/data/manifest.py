"""What is known about a stored dataset: the manifest beside its Parquet files."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from studio.data.mapping import Mapping
from studio.data.mixing.record import Mixed
from studio.data.sample import Kind
from studio.errors import StudioError

FILE = "manifest.json"
NAME_LIMIT = 64
# Safe as a folder name everywhere and unmistakable in a recipe: no capitals (some disks ignore case), no dot or slash,
# no half-space (two names would look alike).
_LETTERS = "a-z0-9۰-۹آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهیءأؤئ"
_NAME = re.compile(f"[{_LETTERS}][{_LETTERS}_-]{{0,{NAME_LIMIT - 1}}}")


class Cleaned(BaseModel):
    """Where a cleaned dataset comes from; its ``ledger.json`` has the rest.

    Attributes:
        parent: Name of the dataset it was made of, which stays as it was.
        parent_sha256: Hash of that dataset's samples at the time.
        preset: Preset of `studio.data.cleaning.filters`.
        off: Rules that were off.
        values: Thresholds of the rules.
        normalised: Whether the texts were normalised.
        against: Names of the evaluation files whose texts were taken out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: str
    parent_sha256: str
    preset: str
    off: list[str]
    values: dict[str, float]
    normalised: bool
    against: list[str]


class Place(BaseModel):
    """Where a row stood: its file, and its number there as `studio.data.read.Rows` counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    row: int


class HubOrigin(BaseModel):
    """Where on the Hub a dataset comes from.

    Attributes:
        repo: Its id.
        config: The configuration, None for the only or default one.
        split: The split.
        revision: The commit that was read, if the Hub told it.
        parquet_copy: Whether the Hub's Parquet copy was read, since the dataset needs a loading script.
        rows_limit: Most rows that were asked for; None for all.
        entry: Its name in the catalogue (`studio.data.catalogue`), None if it is not there.
        warnings: What to know before training or publishing, codes of `studio.data.catalogue.WARNINGS`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    config: str | None
    split: str
    revision: str | None
    parquet_copy: bool
    rows_limit: int | None
    entry: str | None
    warnings: list[str]


class Manifest(BaseModel):
    """Facts about a dataset, fixed when it was imported.

    Attributes:
        rows: Samples stored.
        characters: Characters of their texts; roles are not counted.
        bytes: The same in UTF-8 bytes.
        persian_share: Share of Arabic-script letters among all letters, 0 to 1.
        sha256: Hash of the samples in their order (`studio.data.incoming.ContentHash`), not of the files.
        encoding: How the source spelt its text; None for Parquet and the Hub.
        dropped: Rows left out, by reason.
        trimmed: Samples that were shortened or repaired, by reason.
        places: The first rows that were dropped or trimmed, by reason.
        created: Time of the import, ISO 8601, UTC.
        files: Names of the imported files, or of the Hub dataset.
        cleaned: How a cleaning made it of another dataset, if one did.
        origin: What was read from the Hub, if it came from there.
        mixed: What it was mixed of, if it is a mix or was held out of one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    rows: int
    characters: int
    bytes: int
    persian_share: float
    source: str
    licence: str | None
    sha256: str
    mapping: Mapping
    encoding: str | None
    dropped: dict[str, int]
    trimmed: dict[str, int] = {}
    places: dict[str, list[Place]] = {}
    created: str
    files: list[str]
    cleaned: Cleaned | None = None
    origin: HubOrigin | None = None
    mixed: Mixed | None = None


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a dataset folder.

    Raises:
        StudioError: ``data.no_such_dataset``, or ``data.dataset_damaged`` if the manifest cannot be read.
    """
    try:
        return Manifest.model_validate(json.loads((folder / FILE).read_text(encoding="utf8")))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudioError("data.no_such_dataset", name=folder.name) from error
    except (OSError, ValueError, ValidationError) as error:
        raise StudioError("data.dataset_damaged", name=folder.name) from error


def check_name(target: Path, name: str) -> None:
    """Hold a new name against the rule and against the datasets in the folder `target`.

    A name has Latin lower-case or Persian letters, digits, ``-`` and ``_``; 64 at most, the first a letter or digit.

    Raises:
        StudioError: ``data.bad_name`` with a `suggestion`, or ``data.name_taken``.
    """
    if not _NAME.fullmatch(name):
        raise StudioError("data.bad_name", name=name, suggestion=suggest_name(name))
    if (target / name).exists():
        raise StudioError("data.name_taken", name=name)


def suggest_name(text: str) -> str:
    """A valid dataset name after `text`, such as the name of an uploaded file."""
    stem = text.rsplit("/", 1)[-1].lstrip(".")
    while "." in stem and len(stem.rsplit(".", 1)[1]) <= 7:
        stem = stem.rsplit(".", 1)[0]
    folded = unicodedata.normalize("NFKC", stem).lower().replace("ي", "ی").replace("ك", "ک")
    name = re.sub(f"[^{_LETTERS}_]+", "-", folded).strip("-_")[:NAME_LIMIT].strip("-_")
    return name or "dataset"
