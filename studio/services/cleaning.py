"""Cleaning datasets: start a cleaning, look at its ledger, report on a dataset, write one to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio.data import health, outgoing
from studio.data.cleaning.ledger import read_ledger
from studio.data.cleaning.switches import Switches, choose, hash_file
from studio.data.manifest import NAME_LIMIT, Cleaned, check_name
from studio.errors import StudioError
from studio.jobs.store import Job, NewJob
from studio.services import datasets
from studio.services.studio import Studio


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
    arguments = {
        "name": name,
        "out": out,
        "switches": switches.model_dump(mode="json"),
        "against": [str(file) for file in against],
        "earlier": _earlier(studio, name, switches),
    }
    job = studio.jobs.add(NewJob("clean", out, arguments))
    studio.queue.advance()
    return studio.jobs.get(job)


def report(studio: Studio, name: str) -> dict[str, Any]:
    """How healthy a dataset is, as `studio.data.health.examine` says; of a cleaned one the ``ledger`` with examples.

    Raises:
        StudioError: ``data.no_such_dataset``.
    """
    folder = datasets.folder(studio, name)
    books = read_ledger(folder)
    return health.examine(folder) | ({} if books is None else {"ledger": books.model_dump(mode="json")})


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
