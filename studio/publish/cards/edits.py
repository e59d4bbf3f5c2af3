"""Cards that a person has edited: kept with their run, and put together with what the next export of it has found.

Beside a run lie ``cards/made/NAME.md``, the card that the studio wrote for the export NAME, ``cards/KIND.md``, what a
person made of one, and ``cards/KIND.made.md``, the studio's text that it was made of.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal

from studio.publish.cards.card import draw_pictures, write_card
from studio.publish.cards.facts import CardFacts
from studio.publish.record import CARD, Kind

State = Literal["made", "edited", "facts_changed", "conflict"]
"""The studio's own text; a person's, of the same facts; a person's with newer facts taken in; or a person's where an
edited line has changed facts beneath it, and the person's words stayed."""


@dataclass(frozen=True, slots=True)
class Put:
    """A card that was written: its text, what became of earlier edits, and the names of all files written."""

    text: str
    state: State
    files: tuple[str, ...]


def put_card(folder: Path, facts: CardFacts, run: Path | None) -> Put:
    """Write the card of an export with its pictures into `folder`, and take in what a person wrote for its run before.

    Args:
        folder: The export, under whatever name it has while it is made.
        facts: What the card says; `facts.name` is the export's own.
        run: Folder of the run, where edits are kept; None keeps none.
    """
    made = write_card(facts)
    text = made
    state: State = "made"
    if run is not None:
        _write(_made(run, facts.name), made)
        text, state = _with_edits(run, facts.kind, made)
    pictures = draw_pictures(facts)
    for name, picture in {CARD: text, **pictures}.items():
        _write(folder / name, picture)
    return Put(text, state, (CARD, *pictures))


def _with_edits(run: Path, kind: Kind, made: str) -> tuple[str, State]:
    edited, before = _read(_edited(run, kind)), _read(_origin(run, kind))
    if edited is None or before is None:
        return made, "made"
    if _hash(before) == _hash(made):
        return edited, "edited"
    text, conflict = merged(before, edited, made)
    return text, "conflict" if conflict else "facts_changed"


def keep_edits(run: Path, kind: Kind, name: str, text: str) -> None:
    """Keep a person's card of the export `name`, with the studio's text that it was made of."""
    original = made_card(run, name)
    if original is None or original == text:
        forget_edits(run, kind)
        return
    _write(_origin(run, kind), original)
    _write(_edited(run, kind), text)


def forget_edits(run: Path, kind: Kind) -> None:
    """The next export has the studio's own card."""
    _edited(run, kind).unlink(missing_ok=True)
    _origin(run, kind).unlink(missing_ok=True)


def made_card(run: Path, name: str) -> str | None:
    """The card that the studio wrote for an export; None if it is not kept."""
    return _read(_made(run, name))


def merged(before: str, edited: str, made: str) -> tuple[str, bool]:
    """Lines of two texts that came from one: what either changed is taken over.

    Args:
        before: The studio's text that was edited.
        edited: What a person made of it.
        made: What the studio writes now.

    Returns:
        The text, and whether both had changed the same lines differently; the person's stand there.
    """
    base, mine, theirs = (text.splitlines(keepends=True) for text in (before, edited, made))
    result: list[str] = []
    conflict = False
    at = (0, 0, 0)
    for start, length in _shared(base, mine, theirs):
        parts = [lines[was:now] for lines, was, now in zip((base, mine, theirs), at, start, strict=True)]
        # Neighbours that changed on their own stand in one stretch; line by line they do not touch each other.
        alike = len({len(part) for part in parts}) == 1
        for old, own, new in zip(*([[line] for line in part] for part in parts), strict=True) if alike else [parts]:
            conflict = conflict or (own != old and new != old and own != new)
            result += new if own == old else own
        result += base[start[0] : start[0] + length]
        at = (start[0] + length, start[1] + length, start[2] + length)
    return "".join(result), conflict


def _shared(base: list[str], mine: list[str], theirs: list[str]) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Stretches that stand in all three: where in each, and how many lines; the last is empty, at the ends."""
    first = SequenceMatcher(None, base, mine, autojunk=False).get_matching_blocks()
    second = SequenceMatcher(None, base, theirs, autojunk=False).get_matching_blocks()
    for one in first:
        for other in second:
            start, end = max(one.a, other.a), min(one.a + one.size, other.a + other.size)
            if start < end:
                yield (start, one.b + start - one.a, other.b + start - other.a), end - start
    yield (len(base), len(mine), len(theirs)), 0


def _made(run: Path, name: str) -> Path:
    return run / "cards" / "made" / f"{name}.md"


def _edited(run: Path, kind: Kind) -> Path:
    return run / "cards" / f"{kind}.md"


def _origin(run: Path, kind: Kind) -> Path:
    return run / "cards" / f"{kind}.made.md"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf8") if path.is_file() else None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf8")
    aside.replace(path)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
