"""Vocabulary expansion: learning as a job, cutting to a size, and what an extended tokenizer is worth on a text."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from studio.data.read import read_lines
from studio.data.starters import story_pairs
from studio.errors import StudioError
from studio.jobs.store import Job, NewJob
from studio.models.files import locate_tokenizer
from studio.models.reference import parse_reference
from studio.services.studio import Studio
from studio.tokenizer import vocabulary as folders
from studio.tokenizer.corpus import find_parts
from studio.tokenizer.families import read_family
from studio.tokenizer.making import peak_memory
from studio.tokenizer.report import measure
from studio.tokenizer.scripts import find_script

METHODS: tuple[folders.Method, ...] = ("continued", "independent", "add_tokens")
LARGEST = 200_000


def start_learn(
    studio: Studio,
    model: str,
    corpus: Iterable[str],
    size: int,
    out: Path,
    *,
    method: folders.Method = "continued",
    script: str = "arabic",
) -> Job:
    """Queue the learning of `size` pieces from files and datasets; what can be told at once is told now.

    Raises:
        StudioError: ``vocabulary.*``, ``model.*`` or ``data.*``; nothing is queued then.
    """
    reference = str(parse_reference(model))
    parts = find_parts(list(corpus), studio.settings)
    if not 1 <= size <= LARGEST:
        raise StudioError("vocabulary.bad_size", size=size, limit=LARGEST)
    find_script(script)
    folders.check_out(out)
    read_family(locate_tokenizer(reference, studio.settings))
    arguments = {
        "model": reference,
        "corpus": [part.path.name if part.dataset else str(part.path) for part in parts],
        "size": size,
        "out": str(out),
        "method": method,
        "script": script,
    }
    job = studio.jobs.add(NewJob("vocabulary", out.name, arguments))
    studio.queue.advance()
    return studio.jobs.get(job)


def cut(folder: Path, size: int, out: Path) -> dict[str, Any]:
    """Write the first `size` pieces of a vocabulary into a folder of their own.

    Raises:
        StudioError: ``vocabulary.*``.
    """
    start = time.perf_counter()
    found = folders.cut(folder, size, out)
    return {
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory(0),
        **_sizes(found),
        "base_tokens_per_word": found.curve[0] / found.words,
        "tokens_per_word": found.curve[-1] / found.words,
        "out": str(out),
    }


def report(folder: Path, text: Path, english: Path | None = None) -> dict[str, Any]:
    """Measure a vocabulary on a text of the target language and on English, which ought to keep its ids.

    Args:
        folder: Folder of a vocabulary.
        text: File measured line by line.
        english: Another; by default the English of the studio's own stories.

    Raises:
        StudioError: ``vocabulary.not_a_vocabulary``, ``data.*`` or ``tokenizer.no_words``.
    """
    start = time.perf_counter()
    found = folders.read_vocabulary(folder)
    family = read_family(folder)
    base = folders.base_of(folder, found)
    own = (line for pair in story_pairs() for line in pair.en.splitlines())
    try:
        lines = own if english is None else read_lines(english)
        measured = measure(base, family.definition, found, list(read_lines(text)), lines)
    except ValueError as error:
        raise StudioError("tokenizer.no_words") from error
    return {
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory(0),
        **_sizes(found),
        **asdict(measured),
        "method": found.method,
        "overlap": found.overlap,
    }


def _sizes(found: folders.Vocabulary) -> dict[str, Any]:
    return {
        "added": found.added,
        "base_vocabulary": found.base_vocabulary,
        "total_vocabulary": found.base_vocabulary + found.added,
        "curve": found.curve,
    }
