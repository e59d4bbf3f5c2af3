"""Vocabulary expansion: learning as a job, the vocabularies of the workspace, and what one is worth on a text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from studio.auth import owner_only
from studio.data.manifest import check_name, suggest_name
from studio.data.read import read_lines
from studio.data.starters import story_pairs
from studio.errors import StudioError
from studio.jobs.store import ENDED, Job, NewJob
from studio.memory import peak_memory
from studio.models.files import locate_tokenizer
from studio.models.reference import parse_reference
from studio.services import datasets
from studio.services.studio import Studio
from studio.tokenizer import vocabulary as folders
from studio.tokenizer.corpus import find_parts
from studio.tokenizer.families import read_family
from studio.tokenizer.report import count_changed, count_unreachable, load, measure
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import Vocabulary
from studio.workspace import remove

METHODS: tuple[folders.Method, ...] = ("continued", "independent", "add_tokens")
LARGEST = 200_000
KIND = "vocabulary"


@owner_only
def start_learn(
    studio: Studio,
    model: str,
    corpus: Iterable[str],
    size: int,
    out: Path,
    *,
    method: folders.Method = "continued",
    script: str = "arabic",
    at_most: bool = False,
) -> Job:
    """Queue the learning of `size` pieces from files and datasets; what can be told at once is told now.

    The studio's own texts are imported first where they are not yet in the workspace. With `at_most` a corpus that
    gives fewer pieces than `size` gives what it has.

    Raises:
        StudioError: ``vocabulary.*``, ``model.*`` or ``data.*``; nothing is queued then.
    """
    reference = str(parse_reference(model))
    names, missing = _corpus(studio, list(corpus))
    if not 1 <= size <= LARGEST:
        raise StudioError("vocabulary.bad_size", size=size, limit=LARGEST)
    find_script(script)
    folders.check_out(out)
    read_family(locate_tokenizer(reference, studio.settings))
    arguments = {
        "model": reference,
        "corpus": names,
        "size": size,
        "out": str(out),
        "method": method,
        "script": script,
        "at_most": at_most,
    }
    before = tuple(datasets.start_starter_import(studio, name).id for name in missing)
    job = studio.jobs.add(NewJob(KIND, out.name, arguments, after=before))
    studio.queue.advance()
    return studio.jobs.get(job)


def _corpus(studio: Studio, corpus: list[str]) -> tuple[list[str], list[str]]:
    """The corpus as a job takes it, and which of the studio's own texts must be imported first."""
    own = datasets.starter_names()
    missing = [
        name for name in dict.fromkeys(corpus)
        if name in own and not Path(name).is_file() and not datasets.exists(studio, name)
    ]  # fmt: skip
    rest = [name for name in corpus if name not in missing]
    found = find_parts(rest, studio.settings) if rest or not missing else []
    return [*(part.path.name if part.dataset else str(part.path) for part in found), *missing], missing


@owner_only
def learn_here(
    studio: Studio, model: str, corpus: Iterable[str], size: int, name: str, *, script: str = "arabic"
) -> Job:
    """Queue the learning of up to `size` pieces into the workspace, under `name` or else one made from the model's.

    Raises:
        StudioError: ``vocabulary.bad_name``, ``vocabulary.name_taken``, ``vocabulary.no_corpus`` or as `start_learn`.
    """
    given = list(corpus)
    if not given:
        raise StudioError("vocabulary.no_corpus")
    chosen = name.strip() or free_name(studio, model)
    _check_new(studio, chosen)
    return start_learn(studio, model, given, size, studio.settings.vocabularies / chosen, script=script, at_most=True)


@owner_only
def free_name(studio: Studio, model: str) -> str:
    """A name for a new vocabulary after its base that neither a vocabulary nor a job has yet."""
    stem = suggest_name(model.partition("@")[0].rsplit(":", 1)[-1])[:48]
    taken, number = _taken(studio), 1
    while (name := stem if number == 1 else f"{stem}-{number}") in taken:
        number += 1
    return name


def _check_new(studio: Studio, name: str) -> None:
    try:
        check_name(studio.settings.vocabularies, name)
    except StudioError as error:
        raise StudioError(error.code.replace("data.", "vocabulary."), **error.details) from error
    if name in _taken(studio):
        raise StudioError("vocabulary.name_taken", name=name)


def _taken(studio: Studio) -> set[str]:
    coming = {Path(job.arguments["out"]).name for job in studio.jobs.listing(kind=KIND) if job.state not in ENDED}
    return coming | {path.name for path in studio.settings.vocabularies.glob("[!.]*")}


@owner_only
def listing(studio: Studio) -> list[tuple[str, Vocabulary]]:
    """Names and contents of the vocabularies in the workspace, newest first; what cannot be read is left out."""
    found = sorted(studio.settings.vocabularies.glob(f"[!.]*/{folders.FILE}"), key=_changed, reverse=True)
    read = []
    for path in found:
        try:
            read.append((path.parent.name, opened(path.parent)))
        except StudioError:  # it stays where it is; opening it by name says what is wrong
            continue
    return read


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def opened(folder: Path) -> Vocabulary:
    """The content of a vocabulary, kept in memory until the file changes.

    Raises:
        StudioError: ``vocabulary.not_a_vocabulary``.
    """
    path = folder / folders.FILE
    if not path.is_file():
        raise StudioError("vocabulary.not_a_vocabulary", folder=str(folder))
    facts = path.stat()
    return _opened(folder, facts.st_mtime_ns, facts.st_size)


# A page asks at every move of its slider, and 20,000 pieces take a tenth of a second to read.
@lru_cache(maxsize=8)
def _opened(folder: Path, changed: int, size: int) -> Vocabulary:
    return folders.read_vocabulary(folder)


@owner_only
def folder_of(studio: Studio, name: str) -> Path:
    """Where the vocabulary called `name` lies.

    Raises:
        StudioError: ``vocabulary.unknown``.
    """
    folder = studio.settings.vocabularies / name
    if not name or Path(name).name != name or not (folder / folders.FILE).is_file():
        raise StudioError("vocabulary.unknown", name=name)
    return folder


@owner_only
def keep_size(studio: Studio, name: str, size: int) -> str:
    """Cut a vocabulary of the workspace to `size` and say what the smaller one, ``NAME-SIZE``, is called.

    One that is that small already, or was cut so before, is not cut again.

    Raises:
        StudioError: ``vocabulary.unknown``, ``vocabulary.empty_size``, ``vocabulary.name_taken`` or as `cut`.
    """
    folder = folder_of(studio, name)
    whole = opened(folder)
    if size < 1:
        raise StudioError("vocabulary.empty_size")
    if size == whole.added:
        return name
    smaller = f"{name[:56]}-{size}"
    out = studio.settings.vocabularies / smaller
    if (out / folders.FILE).is_file() and opened(out) == whole.first_pieces(size):
        return smaller
    _check_new(studio, smaller)
    folders.cut(folder, size, out)
    return smaller


def is_cut(name: str, found: Vocabulary) -> bool:
    """Whether a vocabulary is one that `keep_size` made: its files are those of one learned so small, its name not."""
    return name.endswith(f"-{found.added}")


@owner_only
def delete(studio: Studio, name: str) -> None:
    """Delete a vocabulary of the workspace.

    Raises:
        StudioError: ``vocabulary.unknown``, or ``vocabulary.in_use`` while a job reads it.
    """
    folder = folder_of(studio, name)
    for job in studio.jobs.listing():
        if job.state not in ENDED and str(folder) in (job.arguments.get("vocabulary"), job.arguments.get("out")):
            raise StudioError("vocabulary.in_use", name=name, job=job.id)
    remove(folder)


def cut(folder: Path, size: int, out: Path) -> dict[str, Any]:
    """Write the first `size` pieces of a vocabulary into a folder of their own; figures are those of its corpus.

    Raises:
        StudioError: ``vocabulary.*``.
    """
    start = time.perf_counter()
    found = folders.cut(folder, size, out)
    family = read_family(out)
    before, after = load(folders.base_of(out, found).definition), load(family.definition)
    changed, checked = count_changed(before, after, _own_english())
    return {
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory(),
        **_sizes(found),
        "base_tokens_per_word": found.curve[0] / found.words,
        "tokens_per_word": found.curve[-1] / found.words,
        "unreachable": count_unreachable(after, found),
        "english_changed": changed,
        "english_checked": checked,
        "unused_share": found.unused / max(1, found.added),
        "out": str(out),
    }


def _own_english() -> Iterator[str]:
    return (line for pair in story_pairs() for line in pair.en.splitlines())


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
    try:
        lines = _own_english() if english is None else read_lines(english)
        measured = measure(base, family.definition, found, list(read_lines(text)), lines)
    except ValueError as error:
        raise StudioError("tokenizer.no_words") from error
    return {
        "seconds": time.perf_counter() - start,
        "peak_memory_bytes": peak_memory(),
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
