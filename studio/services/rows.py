"""Start rows for the new tokens of a vocabulary: measured as a job, then kept beside the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from studio.auth import owner_only
from studio.data import starters
from studio.errors import StudioError
from studio.jobs.store import Job, NewJob
from studio.models.files import ROWS, locate
from studio.models.reference import parse_reference
from studio.services.studio import Studio
from studio.tokenizer.corpus import find_parts
from studio.tokenizer.starts import METHODS, Method, Starts, read_starts
from studio.tokenizer.vocabulary import read_vocabulary

STARTER_TEXT = starters.FOLDER / starters.STARTERS["sample-prose"].file
"""Read where a vocabulary does not say what it was learned from."""


@owner_only
def start_rows(
    studio: Studio,
    folder: Path,
    *,
    model: str | None = None,
    corpus: Sequence[str] | None = None,
    methods: tuple[Method, ...] = METHODS,
    keep: Literal["best"] | Method = "best",
    steps: int | None = None,
) -> Job:
    """Queue the making of start rows for the vocabulary in `folder`.

    Args:
        studio: The studio.
        folder: Folder of a learned vocabulary.
        model: The base, which must be on this machine; by default the one the vocabulary was learned for.
        corpus: Files and datasets that the learned ways read a little of; by default those of the vocabulary.
        methods: Ways to start that are measured when the best is looked for.
        keep: The one whose rows stay in the folder, which alone is made then; ``best`` is the least Persian bits per
            byte that keeps English.
        steps: Of fitting; as the device can by default.

    Raises:
        StudioError: ``vocabulary.*``, ``model.*`` or ``data.*``; nothing is queued then.
    """
    found = read_vocabulary(folder)
    if found.method != "continued":
        raise StudioError("vocabulary.not_continued", method=found.method)
    reference = str(parse_reference(model or found.base))
    locate(reference, studio.settings)
    texts = list(corpus or found.corpus) or [str(STARTER_TEXT)]
    parts = find_parts(texts, studio.settings)
    chosen = methods if keep == "best" else (keep,)
    arguments = {
        "vocabulary": str(folder),
        "model": reference,
        "corpus": [part.path.name if part.dataset else str(part.path) for part in parts],
        "methods": list(chosen),
        "keep": keep,
        "steps": steps,
    }
    job = studio.jobs.add(NewJob("rows", folder.name, arguments, lane="device"))
    studio.queue.advance()
    return studio.jobs.get(job)


@owner_only
def expand(studio: Studio, folder: Path, *, model: str | None = None, out: Path | None = None) -> Job:
    """Queue the writing of the base with the start rows of a vocabulary as a model folder, to chat with and to train.

    Args:
        studio: The studio.
        folder: Folder of a vocabulary whose starts have been measured.
        model: The base, which must be on this machine; by default the one the vocabulary was learned for.
        out: New folder; by default in the workspace's ``exports``, named after the vocabulary.

    Raises:
        StudioError: ``rows.missing``, ``vocabulary.*``, ``model.*`` or ``publish.out_exists``; nothing is queued then.
    """
    found = read_vocabulary(folder)
    if not (folder / ROWS).is_file():
        raise StudioError("rows.missing", folder=folder.name)
    reference = str(parse_reference(model or found.base))
    locate(reference, studio.settings)
    target = out or studio.settings.exports / folder.name
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StudioError("publish.out_exists", out=str(target))
    arguments = {"model": reference, "vocabulary": str(folder), "out": str(target)}
    job = studio.jobs.add(NewJob("expand", target.name, arguments))
    studio.queue.advance()
    return studio.jobs.get(job)


def measured(folder: Path) -> Starts | None:
    """How the starts did; None where none has been measured."""
    return read_starts(folder)
