"""What a cleaning did to single rows: the text before, mended and dropped stretches marked, and what is left."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq

from studio.data.cleaning import reasons
from studio.data.cleaning.ledger import Ledger, read_ledger
from studio.data.cleaning.switches import NORMALISE
from studio.data.cleaning.verdicts import DOCUMENTS
from studio.data.cleaning.verdicts import UNITS as UNIT_VERDICTS
from studio.data.manifest import read_manifest
from studio.data.persian.normalise import normalise
from studio.data.sample import strings
from studio.data.stored import list_groups, read_group, sample_rows
from studio.errors import StudioError

LONGEST = 6_000
"""Characters of a row that are compared: the comparison takes 20 ms there and grows with the square."""
_WORDS = re.compile(r"\s+|[^\s]+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a row: as it was, ``gone`` (mended away) or ``new`` (mended to); `reason` dropped it."""

    text: str
    kind: Literal["same", "gone", "new"]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the parent, numbered from 0.

    Attributes:
        stretches: The text with its changes, in reading order.
        reason: The rule that dropped the whole row; None for a row that stayed, if only in part.
        cut: Whether the row goes on beyond what is shown.
    """

    row: int
    stretches: tuple[Stretch, ...]
    reason: str | None
    cut: bool


def find(parent: Path, cleaned: Path, reason: str | None, start: int, count: int) -> tuple[list[int], int | None]:
    """Rows of the parent that a rule touched, `count` from the `start`-th of them on, and how many there are in all.

    Args:
        parent: The dataset that was cleaned.
        cleaned: What came out.
        reason: A rule, ``normalise``, or None for all rows of which something was dropped.
        start: How many to pass over.
        count: How many to give.

    Returns:
        The rows, and their number; None for ``normalise``, which is looked for only as far as needed.

    Raises:
        StudioError: ``clean.not_cleaned``, ``clean.parent_gone``, ``clean.no_such_rule`` or ``data.*``.
    """
    ledger = _ledger(parent, cleaned)
    if reason == NORMALISE:
        return list(islice(_mended(parent), start, start + count)), None
    names = reasons.names(ledger.switches)
    if reason is not None and reason not in names:
        raise StudioError("clean.no_such_rule", rule=reason, rules=", ".join([NORMALISE, *names]))
    rows, units = reasons.read(cleaned / reasons.ROWS), reasons.read(cleaned / reasons.UNITS)
    per_row = pq.read_table(cleaned / DOCUMENTS, columns=["units"]).column(0).to_numpy()
    hit_units = units != 0 if reason is None else units == names.index(reason) + 1
    of_unit = np.repeat(np.arange(len(rows)), per_row)
    touched = rows != 0 if reason is None else rows == names.index(reason) + 1
    touched[of_unit[hit_units]] = True
    found = np.flatnonzero(touched)
    return found[start : start + count].tolist(), len(found)


def look(parent: Path, cleaned: Path, rows: Sequence[int]) -> list[Change]:
    """What happened to `rows` of the parent.

    Raises:
        StudioError: ``clean.not_cleaned``, ``clean.parent_gone`` or ``data.*``.
    """
    ledger = _ledger(parent, cleaned)
    names: list[str | None] = [None, *reasons.names(ledger.switches)]
    return [_look(parent, cleaned, row, names, ledger.switches.normalise) for row in rows]


def _look(parent: Path, cleaned: Path, row: int, names: list[str | None], mend: bool) -> Change:
    lengths, reason, unit_reasons = _verdict(cleaned, row)
    whole = names[reason]
    samples = sample_rows(parent, row, 1)
    if not samples:
        raise StudioError("data.dataset_damaged", name=parent.name)
    said = strings(samples[0])
    before = "\n".join(said)
    # Turns of a chat stand one below the other here, so the line between them belongs to the turn before.
    parts = [normalise(text) if mend else text for text in said]
    after = "\n".join(parts)
    if len(said) > 1:
        lengths = [len(part) + 1 for part in parts]
    owners = [names[number] if whole is None else whole for number in unit_reasons]
    spans = _spans(lengths, owners)
    stretches = tuple(_mark(before[:LONGEST], after[:LONGEST], spans, whole))
    return Change(row, stretches, whole, len(before) > LONGEST)


def _verdict(cleaned: Path, row: int) -> tuple[list[int], int, list[int]]:
    """Of a row: the lengths of its units, its reason and theirs."""
    with pq.ParquetFile(cleaned / DOCUMENTS) as documents:
        first = 0
        for group in range(documents.num_row_groups):
            rows = documents.metadata.row_group(group).num_rows
            if row < first + rows:
                counts = documents.read_row_group(group, columns=["units"]).column(0).to_numpy()
                break
            first += rows
        else:
            raise StudioError("data.dataset_damaged", name=cleaned.name)
    unit, count = int(counts[: row - first].sum()), int(counts[row - first])
    lengths = _column(cleaned / UNIT_VERDICTS, group, "characters")[unit : unit + count].tolist()
    unit_reasons = _column(cleaned / reasons.UNITS, group, "reason")[unit : unit + count].tolist()
    reason = int(_column(cleaned / reasons.ROWS, group, "reason")[row - first])
    return lengths, reason, unit_reasons


def _column(file: Path, group: int, name: str) -> Any:
    with pq.ParquetFile(file) as table:
        return table.read_row_group(group, columns=[name]).column(0).to_numpy()


def _spans(lengths: Sequence[int], owners: Sequence[str | None]) -> list[tuple[int, str | None]]:
    """Ends of the units in the mended text, each with the rule that dropped it."""
    return list(zip(accumulate(lengths), owners, strict=True))


def _mark(before: str, after: str, spans: list[tuple[int, str | None]], whole: str | None) -> Iterator[Stretch]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    place, left = 0, deque(spans)
    for kind, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, False).get_opcodes():
        if kind != "equal" and old_start < old_end:
            yield Stretch("".join(old[old_start:old_end]), "gone", _span(left, place, whole)[1])
        text = "".join(new[new_start:new_end])
        while text:
            end, owner = _span(left, place, whole)
            piece, text = text[: end - place], text[end - place :]
            yield Stretch(piece, "same" if kind == "equal" else "new", owner)
            place += len(piece)


def _span(left: deque[tuple[int, str | None]], place: int, whole: str | None) -> tuple[int, str | None]:
    """The unit that `place` of the mended text belongs to; those before it are let go."""
    while left and place >= left[0][0]:
        left.popleft()
    return left[0] if left else (LONGEST + place, whole)


def _mended(parent: Path) -> Iterator[int]:
    kind = read_manifest(parent).kind
    for group in list_groups(parent):
        for row, sample in enumerate(read_group(group, kind), start=group.first):
            if any(normalise(text) != text for text in strings(sample)):
                yield row


def _ledger(parent: Path, cleaned: Path) -> Ledger:
    ledger = read_ledger(cleaned)
    made = read_manifest(cleaned).cleaned
    if ledger is None or made is None or not (cleaned / reasons.ROWS).exists():
        raise StudioError("clean.not_cleaned", name=cleaned.name)
    try:
        same = read_manifest(parent).sha256 == made.parent_sha256
    except StudioError as error:
        if error.code != "data.no_such_dataset":
            raise
        same = False
    if not same:
        raise StudioError("clean.parent_gone", name=cleaned.name, parent=made.parent)
    return ledger
