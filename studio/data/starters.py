"""The texts that come with the studio, as datasets: its own samples (CC0) and, if installed, the ghazals of Hafez."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.data import hafez
from studio.data.incoming import incoming
from studio.data.mapping import Mapping, make_mapping
from studio.data.sample import Pair
from studio.data.stored import Manifest, import_files, store_rows
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.settings import ASSETS

FOLDER = ASSETS / "samples"
LICENCE = "CC0-1.0"
HAFEZ = "hafez"


@dataclass(frozen=True, slots=True)
class Starter:
    """A file of the studio's own samples and how it is read."""

    file: str
    mapping: Mapping


STARTERS = {
    "sample-stories": Starter("stories.jsonl", make_mapping("pair", fa="fa", en="en")),
    "sample-stories-more": Starter("more_stories.jsonl", make_mapping("pair", fa="fa", en="en")),
    "sample-chats": Starter("chats.jsonl", make_mapping("messages", messages="messages")),
    "sample-prose": Starter("prose.txt", make_mapping("text", text="text")),
}


def names() -> list[str]:
    """Names of the datasets that `import_starter` makes; Hafez comes last and needs its package."""
    return [*STARTERS, HAFEZ]


def import_starter(
    name: str, target: Path, *, progress: Progress, stopping: Stopping, folder: Path = FOLDER
) -> Manifest:
    """Store one of the studio's own texts in the datasets folder `target`, under its own name.

    Raises:
        StudioError: ``data.no_such_dataset`` for another name, ``data.package_missing``, ``data.name_taken``,
            ``job.stopped``, and what writing raises.
    """
    if name == HAFEZ:
        return _import_hafez(target, progress, stopping)
    if name not in STARTERS:
        raise StudioError("data.no_such_dataset", name=name)
    starter = STARTERS[name]
    return import_files(
        [folder / starter.file],
        target,
        name,
        mapping=starter.mapping,
        licence=LICENCE,
        source="samples",
        progress=progress,
        stopping=stopping,
    )


def story_pairs(folder: Path = FOLDER) -> list[Pair]:
    """The thirty held-out bilingual stories: the same texts in Persian and in English."""
    return _pairs(folder / "stories.jsonl")


def _pairs(path: Path) -> list[Pair]:
    lines = path.read_text(encoding="utf8").split("\n")
    return [Pair(values["fa"], values["en"]) for line in lines if line.strip() for values in [json.loads(line)]]


def held_out_lines(language: str = "fa", folder: Path = FOLDER) -> list[str]:
    """Texts for a quick bits-per-byte figure, ``fa`` or ``en``: the thirty stories of ``sample-stories``.

    The stories to train on are another file and dataset, ``sample-stories-more``, so that a quick figure stays quick,
    compares with earlier ones, and is measured on texts that no recipe of the studio trains on.
    """
    return [" ".join((pair.fa if language == "fa" else pair.en).split()) for pair in story_pairs(folder)]


def sample_lines(language: str = "fa", folder: Path = FOLDER) -> list[str]:
    """Sentences of all bilingual stories, the held-out ones first, then in Persian the lines of the sample prose."""
    stories = [*story_pairs(folder), *_pairs(folder / "more_stories.jsonl")]
    texts = [pair.fa if language == "fa" else pair.en for pair in stories]
    if language == "fa":
        texts += (folder / "prose.txt").read_text(encoding="utf8").splitlines()
    ends = re.compile(r"(?<=[.!?؟])\s+")
    return [sentence for text in texts for sentence in ends.split(text.strip()) if sentence]


def _import_hafez(target: Path, progress: Progress, stopping: Stopping) -> Manifest:
    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for row, ghazal in enumerate(hafez.read_ghazals(), start=1):
            yield row, {"text": ghazal.text}

    mapping = make_mapping("text", text="text")
    with incoming(target, HAFEZ) as writer:
        store_rows(writer, mapping, rows(), file="hafez.json", share=lambda: 0.5, progress=progress, stopping=stopping)
        return writer.commit(
            mapping=mapping, source=f"pypi:{hafez.PACKAGE}", licence=hafez.LICENCE, encoding=None, files=["hafez.json"]
        )
