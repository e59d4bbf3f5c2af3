"""Documents cut into sentences or lines that, joined again, are the document character by character."""

from __future__ import annotations

import re
from collections.abc import Sequence

# It starts with one class of characters, which the engine finds five times as fast as an alternation.
_SENTENCE_END = re.compile(r"[.!?؟…\n](?:(?<=\n)\s*|[.!?؟…»”\")\]]*\s+)")
_LINE_END = re.compile(r"\n\s*")


def split_sentences(text: str) -> list[str]:
    """The sentences of `text`, each with the blanks that follow it: ``"".join`` gives `text` back.

    A sentence ends after ``. ! ? ؟ …`` (and closing quotation marks) before a blank, and at every line end. A full
    stop after a single letter or digit ends none: «م. امید» is a name, «۱. نخست» a number in a list.
    """
    found, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        stop = match.start()
        if text[stop] == "." and text[stop - 1 : stop].isalnum() and not text[max(0, stop - 2) : stop - 1].strip():
            continue
        found.append(text[start : match.end()])
        start = match.end()
    if start < len(text):
        found.append(text[start:])
    return found


def split_lines(text: str) -> list[str]:
    """The lines of `text`, each with the line ends and blanks that follow it; joined they are `text`."""
    found, start = [], 0
    for match in _LINE_END.finditer(text):
        found.append(text[start : match.end()])
        start = match.end()
    if start < len(text):
        found.append(text[start:])
    return found


def rejoin(units: Sequence[str], kept: Sequence[bool]) -> str:
    """The kept units of one document in their order, blanks at both ends cut.

    A line end that goes with a dropped unit is given to the one before it, so that paragraphs stay apart.
    """
    parts: list[str] = []
    for unit, keep in zip(units, kept, strict=True):
        if keep:
            parts.append(unit)
        elif parts and "\n" not in (before := blanks_after(parts[-1])) and "\n" in (after := blanks_after(unit)):
            parts[-1] = parts[-1][: len(parts[-1]) - len(before)] + after
    return "".join(parts).strip()


def blanks_after(unit: str) -> str:
    """The blanks at the end of a unit."""
    return unit[len(unit.rstrip()) :]
