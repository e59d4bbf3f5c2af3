"""The data tab: look at files, import them, preview and measure what was stored, delete what nothing needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.auth import owner_only
from studio.data import starters, stored
from studio.data.aligned import MAPPING as ALIGNED
from studio.data.aligned import Aligned
from studio.data.catalogue import entry_of
from studio.data.columns import guess
from studio.data.conversion import Dropped, Trimmed, to_sample
from studio.data.hub import check_id
from studio.data.manifest import Manifest, check_name, read_manifest, suggest_name
from studio.data.mapping import FORMS, NAMES, Form, Mapping, check_mapping, find_column, make_mapping
from studio.data.read import sniff
from studio.data.sample import Sample
from studio.errors import StudioError
from studio.jobs.store import ENDED, Job, NewJob
from studio.models.files import locate_tokenizer
from studio.models.tokenizer import load_tokenizer
from studio.recipes import load_recipe
from studio.services.studio import Studio

PREVIEW_ROWS = 8
HISTOGRAM_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a file showed, before anything is stored."""

    file: str
    format: str
    encoding: str
    columns: list[str]
    mapping: Mapping
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Token counts of up to `HISTOGRAM_ROWS` rows spread over a dataset, under one model's tokenizer."""

    model: str
    tokens: list[int]
    rows: int

    @property
    def median(self) -> int:
        ordered = sorted(self.tokens)
        return ordered[len(ordered) // 2] if ordered else 0


def look(files: Sequence[Path], encoding: str | None = None) -> Found:
    """Guess format, encoding and columns from the start of the first file.

    Raises:
        StudioError: ``data.*``, such as ``data.encoding`` when the guess needs the user's word.
    """
    if not files:
        raise StudioError("data.no_files")
    seen = sniff(files[0], encoding=encoding)
    return Found(
        files[0].name, seen.format, seen.encoding or "utf-8", seen.columns, guess(seen.columns, seen.rows), seen.rows
    )


def look_aligned(files: Sequence[Path], encoding: str | None = None) -> Found:
    """The first pairs of two files whose lines translate each other.

    Raises:
        StudioError: ``data.aligned_two``, ``data.aligned_languages`` and what `look` raises.
    """
    with Aligned(files, encoding) as seen:
        rows = [values for _, values in seen.first]
        return Found(files[0].name, "txt", seen.encoding, seen.columns, ALIGNED, rows)


@owner_only
def start_import(
    studio: Studio,
    files: Sequence[Path],
    name: str,
    *,
    mapping: Mapping | None = None,
    aligned: bool = False,
    encoding: str | None = None,
    licence: str | None = None,
    remove_files: bool = False,
) -> Job:
    """Queue the import of files under `name`; of two `aligned` ones, line N translates line N.

    Faults that the start of a file shows are told now; nothing is queued then.

    Raises:
        StudioError: ``data.*``.
    """
    found = look_aligned(files, encoding) if aligned else look(files, encoding)
    chosen = mapping or found.mapping
    check_mapping(chosen, found.columns)
    check_name(studio.settings.datasets, name)
    arguments = {
        "source": "files",
        "files": [str(file) for file in files],
        "name": name,
        "mapping": chosen.model_dump(mode="json"),
        "aligned": aligned,
        "encoding": encoding,
        "licence": licence,
        "remove_files": remove_files,
    }
    return _queue(studio, name, arguments)


@owner_only
def start_hub_import(
    studio: Studio,
    repo: str,
    name: str,
    *,
    config: str | None = None,
    split: str | None = None,
    rows_limit: int | None = None,
    roles: dict[str, str] | None = None,
    licence: str | None = None,
) -> Job:
    """Queue the import of a dataset from the Hub, read as a stream.

    Of a dataset of the catalogue, configuration, split and columns that are left out are taken from there.

    Raises:
        StudioError: ``data.name_taken``, ``data.bad_name`` or ``hub.bad_id``.
    """
    repo = check_id(repo)
    check_name(studio.settings.datasets, name)
    known = entry_of(repo)
    arguments = {
        "source": "hub",
        "repo": repo,
        "config": config or (known.config if known else None),
        "split": split or (known.split if known else "train"),
        "name": name,
        "rows_limit": rows_limit,
        "roles": roles,
        "licence": licence,
        "entry": known.name if known else None,
    }
    return _queue(studio, name, arguments)


def starter_names(*, shipped_only: bool = False) -> list[str]:
    """The texts that ship with the studio, and unless `shipped_only` the ghazals of the hafez package."""
    return list(starters.STARTERS) if shipped_only else starters.names()


@owner_only
def start_starter_import(studio: Studio, name: str) -> Job:
    """Queue the import of one of the studio's own texts; one already on its way is not queued twice.

    Raises:
        StudioError: ``data.no_such_dataset`` or ``data.name_taken``.
    """
    if name not in starters.names():
        raise StudioError("data.no_such_dataset", name=name)
    for job in studio.jobs.listing(kind="import"):
        if job.state not in ENDED and job.arguments["name"] == name:
            return job
    check_name(studio.settings.datasets, name)
    return _queue(studio, name, {"source": "samples", "name": name})


def _queue(studio: Studio, name: str, arguments: dict[str, Any]) -> Job:
    job = studio.jobs.add(NewJob("import", name, arguments))
    studio.queue.advance()
    return studio.jobs.get(job)


@owner_only
def listing(studio: Studio) -> list[Manifest]:
    """All stored datasets, newest first."""
    return stored.list_datasets(studio.settings.datasets)


@owner_only
def exists(studio: Studio, name: str) -> bool:
    """Whether a dataset is stored under `name`."""
    return any(manifest.name == name for manifest in listing(studio))


@owner_only
def folder(studio: Studio, name: str) -> Path:
    """Where a dataset is stored.

    Raises:
        StudioError: ``data.no_such_dataset``.
    """
    if not exists(studio, name):
        raise StudioError("data.no_such_dataset", name=name)
    return studio.settings.datasets / name


@owner_only
def manifest(studio: Studio, name: str) -> Manifest:
    """What is known of a dataset."""
    return read_manifest(folder(studio, name))


@owner_only
def preview(studio: Studio, name: str, start: int = 0, count: int = PREVIEW_ROWS) -> list[Sample]:
    """`count` rows from `start` on."""
    return stored.sample_rows(folder(studio, name), start, count)


@owner_only
def lengths(studio: Studio, name: str, model: str) -> Lengths:
    """How long the rows are in tokens of `model`, without special tokens."""
    tokenizer = load_tokenizer(locate_tokenizer(model, studio.settings))
    counts = stored.token_lengths(
        folder(studio, name),
        lambda texts: [len(found.ids) for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)],
        HISTOGRAM_ROWS,
    )
    return Lengths(model, counts, manifest(studio, name).rows)


@owner_only
def used_by(studio: Studio, name: str) -> list[str]:
    """The runs whose recipes refer to a dataset."""
    runs = []
    for path in sorted(studio.settings.runs.glob("*/recipe.yaml")):
        recipe = load_recipe(path)
        if any(source.dataset == name for stage in recipe.stages for source in stage.data):
            runs.append(path.parent.name)
    return runs


@owner_only
def delete(studio: Studio, name: str, *, anyway: bool = False) -> None:
    """Delete a dataset.

    Raises:
        StudioError: ``data.no_such_dataset``, or ``data.in_use`` naming the runs that refer to it unless `anyway`.
    """
    place = folder(studio, name)
    if not anyway and (runs := used_by(studio, name)):
        raise StudioError("data.in_use", name=name, runs="، ".join(runs))
    stored.delete(place)


def preview_mapping(found: Found, mapping: Mapping) -> list[Sample]:
    """The first rows of a file as `mapping` reads them; rows it would drop are left out."""
    check_mapping(mapping, found.columns)
    read = [to_sample(row, mapping, number) for number, row in enumerate(found.rows[:PREVIEW_ROWS], start=1)]
    return [one.sample if isinstance(one, Trimmed) else one for one in read if not isinstance(one, Dropped)]


def parts_of(form: Form) -> tuple[str, ...]:
    """The parts that columns play in `form`, those it needs first."""
    return FORMS[form].required + FORMS[form].optional


def mapping_for(found: Found, form: Form) -> Mapping:
    """The likeliest columns of `found` for `form`: by their usual names, else in order."""
    if form == found.mapping.form:
        return found.mapping
    left = list(found.columns)
    chosen = {}
    for part in parts_of(form):
        column = find_column(part, left) if part in NAMES else None
        if column is None and part in FORMS[form].required and left:
            column = left[0]
        if column is not None:
            chosen[part] = column
            left.remove(column)
    return make_mapping(form, **chosen)


@owner_only
def free_name(studio: Studio, file: str) -> str:
    """A name for a dataset after its file that is not taken yet."""
    name = suggest_name(file)
    number = 2
    while (studio.settings.datasets / name).exists():
        name = f"{suggest_name(file)[:58]}-{number}"
        number += 1
    return name
