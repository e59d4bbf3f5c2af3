"""Cleaning datasets: start a cleaning, look at its ledger, report on a dataset, write one to a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from studio.auth import owner_only
from studio.data import health, outgoing
from studio.data.cleaning.changes import Change, find, look
from studio.data.cleaning.ledger import Ledger, read_ledger
from studio.data.cleaning.switches import Switches, choose, hash_file
from studio.data.manifest import NAME_LIMIT, Cleaned, check_name
from studio.errors import StudioError
from studio.jobs.store import Job, NewJob
from studio.models.files import locate_tokenizer
from studio.services import datasets
from studio.services.studio import Studio


@owner_only
def start_clean(
    studio: Studio,
    name: str,
    *,
    preset: str | None = None,
    choices: Sequence[str] = (),
    out: str | None = None,
    against: Sequence[Path] = (),
) -> Job:
    """Queue the cleaning of a dataset into a new one; the dataset itself stays as it is.

    Where an earlier cleaning of it differs only in which rules are on, what that one found out is used again.

    Args:
        studio: The open studio.
        name: The dataset.
        preset: ``llama_persian``, ``documents``, ``chats`` or ``pairs``; by default what fits its kind.
        choices: ``RULE=on``, ``RULE=off`` or ``RULE=NUMBER``.
        out: Name of the result; by default `name` with ``-clean``, numbered if that is taken.
        against: Evaluation files whose texts must not stay in.

    Raises:
        StudioError: ``data.no_such_dataset``, ``data.name_taken``, ``data.bad_name``, ``data.no_such_file``, or
            ``clean.*`` for choices that do not fit.
    """
    manifest = datasets.manifest(studio, name)
    switches = choose(manifest.kind, preset, choices, [_hash(file) for file in against])
    if out is None:
        out = _free_name(studio, name)
    check_name(studio.settings.datasets, out)
    return _queue(studio, name, out, switches, against, earlier=_earlier(studio, name, switches))


@owner_only
def start_again(studio: Studio, name: str, off: Collection[str], *, out: str | None = None) -> Job:
    """Queue a cleaned dataset's making anew with other rules off; nothing is judged a second time.

    Args:
        studio: The open studio.
        name: The cleaned dataset, which stays.
        off: Rules that shall drop nothing; all others do.
        out: Name of the result; by default the parent's with ``-clean`` and a number.

    Raises:
        StudioError: ``clean.not_cleaned``, ``clean.parent_gone``, ``clean.no_such_rule``, ``clean.nothing_changed``,
            ``data.name_taken`` or ``data.bad_name``.
    """
    books, made = ledger(studio, name), datasets.manifest(studio, name).cleaned
    if books is None or made is None:
        raise StudioError("clean.not_cleaned", name=name)
    if not (datasets.exists(studio, made.parent) and same_parent(studio, made)):
        raise StudioError("clean.parent_gone", name=name, parent=made.parent)
    rules = [rule.name for rule in books.switches.plan.rules]
    unknown = next((rule for rule in off if rule not in rules), None)
    if unknown is not None:
        raise StudioError("clean.no_such_rule", rule=unknown, rules=", ".join(rules))
    if frozenset(off) == books.switches.off:
        raise StudioError("clean.nothing_changed")
    switches = books.switches.model_copy(update={"off": frozenset(off)})
    out = out or _free_name(studio, made.parent)
    check_name(studio.settings.datasets, out)
    return _queue(studio, made.parent, out, switches, [], earlier=name)


@owner_only
def same_parent(studio: Studio, made: Cleaned) -> bool:
    """Whether the dataset that was cleaned is still what it was then."""
    return datasets.manifest(studio, made.parent).sha256 == made.parent_sha256


def _queue(
    studio: Studio, name: str, out: str, switches: Switches, against: Sequence[Path], *, earlier: str | None
) -> Job:
    arguments = {
        "name": name,
        "out": out,
        "switches": switches.model_dump(mode="json"),
        "against": [str(file) for file in against],
        "earlier": earlier,
    }
    job = studio.jobs.add(NewJob("clean", out, arguments))
    studio.queue.advance()
    return studio.jobs.get(job)


@owner_only
def start_report(studio: Studio, name: str, against: Sequence[Path] = (), model: str | None = None) -> Job:
    """Queue the measuring of a dataset's health; `report` tells what it found.

    Args:
        studio: The open studio.
        name: The dataset.
        against: Evaluation files whose texts are looked for in it.
        model: Whose tokens lengths are told in as well; it must be on this machine.

    Raises:
        StudioError: ``data.no_such_dataset``, ``data.no_such_file``, ``data.not_readable`` or ``model.*``.
    """
    datasets.folder(studio, name)
    if model:
        locate_tokenizer(model, studio.settings)
    for file in against:
        _hash(file)
    job = studio.jobs.add(
        NewJob("examine", name, {"name": name, "against": [str(file) for file in against], "model": model})
    )
    studio.queue.advance()
    return studio.jobs.get(job)


@owner_only
def report(studio: Studio, name: str) -> dict[str, Any]:
    """How healthy a dataset is, as `studio.data.health.examine` said last; of a cleaned one the ``ledger`` too.

    Empty before the first measuring, but for the ledger.

    Raises:
        StudioError: ``data.no_such_dataset``.
    """
    books = ledger(studio, name)
    found = health.kept(datasets.folder(studio, name)) or {}
    return found | ({} if books is None else {"ledger": books.model_dump(mode="json")})


@owner_only
def ledger(studio: Studio, name: str) -> Ledger | None:
    """The ledger of a cleaned dataset, None for any other.

    Raises:
        StudioError: ``data.no_such_dataset`` or ``data.dataset_damaged``.
    """
    return read_ledger(datasets.folder(studio, name))


@owner_only
def changes(
    studio: Studio, name: str, reason: str | None = None, start: int = 0, count: int = 3
) -> tuple[list[Change], int | None]:
    """Rows that the cleaning which made `name` touched, and how many there are; see `studio.data.cleaning.changes`.

    Raises:
        StudioError: ``clean.*`` or ``data.*``.
    """
    place, made = datasets.folder(studio, name), datasets.manifest(studio, name).cleaned
    if made is None:
        raise StudioError("clean.not_cleaned", name=name)
    parent = studio.settings.datasets / made.parent
    rows, total = find(parent, place, reason, start, count)
    return look(parent, place, rows), total


@owner_only
def export(studio: Studio, name: str, out: Path) -> dict[str, Any]:
    """Write a dataset to a jsonl, txt or parquet file; see `studio.data.outgoing.write`."""
    return outgoing.write(datasets.folder(studio, name), out)


def _hash(file: Path) -> str:
    try:
        return hash_file(file)
    except FileNotFoundError as error:
        raise StudioError("data.no_such_file", file=file.name) from error
    except OSError as error:
        raise StudioError("data.not_readable", file=file.name, reason=error.strerror or str(error)) from error


def _free_name(studio: Studio, name: str) -> str:
    ending, number = "-clean", 1
    while (studio.settings.datasets / (name[: NAME_LIMIT - len(ending)] + ending)).exists():
        number += 1
        ending = f"-clean-{number}"
    return name[: NAME_LIMIT - len(ending)] + ending


def _earlier(studio: Studio, name: str, switches: Switches) -> str | None:
    """The newest cleaned dataset whose verdicts serve for `switches` too."""
    parent = datasets.manifest(studio, name)
    for manifest in datasets.listing(studio):
        cleaned: Cleaned | None = manifest.cleaned
        if cleaned is None or (cleaned.parent, cleaned.parent_sha256) != (name, parent.sha256):
            continue
        found = read_ledger(studio.settings.datasets / manifest.name)
        if found is not None and found.switches.measured_alike(switches):
            return manifest.name
    return None
