"""The second half of a cleaning: verdicts and switches decide, survivors are joined, and everything is entered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from studio.data.cleaning.ledger import NOTHING_LEFT, Books
from studio.data.cleaning.measure import ROLES, Measured
from studio.data.cleaning.reasons import Reasons, take_down
from studio.data.cleaning.switches import Switches
from studio.data.cleaning.verdicts import Verdicts
from studio.data.incoming import Incoming
from studio.data.sample import Chat, Kind, Message, Pair, Sample, Text
from studio.data.sentences import rejoin
from studio.errors import StudioError
from studio.jobs.events import Stopping


class _Marks:
    """One bit for each of many places."""

    def __init__(self, count: int) -> None:
        self._bits = bytearray(count // 8 + 1)

    def __contains__(self, place: int) -> bool:
        return bool(self._bits[place >> 3] & (1 << (place & 7)))

    def add(self, place: int) -> None:
        self._bits[place >> 3] |= 1 << (place & 7)


class _Judge:
    """Which rule drops a document or unit, given those that came before and stayed."""

    def __init__(self, switches: Switches, documents: int, units: int) -> None:
        plan = switches.plan
        on = {rule.name for rule in plan.rules if switches.is_on(rule)}
        self._names = [rule.name for rule in plan.documents]
        self._unit_names = [rule.name for rule in plan.units]
        self._mask = sum(1 << place for place, rule in enumerate(plan.documents) if rule.name in on)
        self._unit_mask = sum(1 << place for place, rule in enumerate(plan.units) if rule.name in on)
        self._copies, self._near, self._seen = ("duplicates" in on, "near_duplicates" in on, "seen" in on)
        self._kept, self._kept_units = _Marks(documents), _Marks(units)

    def document(self, bits: int, first: int, near: int) -> str | None:
        """The rule that drops a document before its units are looked at."""
        if hit := bits & self._mask:
            return self._names[(hit & -hit).bit_length() - 1]
        if self._copies and first >= 0 and first in self._kept:
            return "duplicates"
        return "near_duplicates" if self._near and near >= 0 and near in self._kept else None

    def keep(self, place: int, first: int, near: int) -> None:
        """Remember a document that stays, for all that are like it."""
        self._kept.add(place)
        if self._copies and first >= 0:
            self._kept.add(first)
        if self._near and near >= 0:
            self._kept.add(near)

    def unit(self, place: int, bits: int, first: int) -> str | None:
        """The rule that drops a unit of a document that stays."""
        if hit := bits & self._unit_mask:
            return self._unit_names[(hit & -hit).bit_length() - 1]
        head = first if first >= 0 else place
        if self._seen and head in self._kept_units:
            return "seen"
        self._kept_units.add(head)
        return None


def assemble(
    writer: Incoming,
    pieces: Sequence[Measured],
    verdicts: Iterator[Verdicts],
    switches: Switches,
    *,
    progress: Callable[[float], None],
    stopping: Stopping,
) -> Books:
    """Give the survivors of all pieces to `writer`, in their order, and enter what was lost.

    Raises:
        StudioError: ``job.stopped``.
    """
    books = Books(switches)
    judge = _Judge(switches, sum(piece.documents for piece in pieces), sum(piece.units for piece in pieces))
    row = unit = 0
    with take_down(writer.folder, switches) as reasons:
        for number, (piece, found) in enumerate(zip(pieces, verdicts, strict=True)):
            if stopping():
                raise StudioError("job.stopped")
            progress(number / len(pieces))
            for sample in _survivors(piece, found, judge, books, reasons, row, unit):
                writer.add(sample)
            reasons.end_piece()
            row, unit = row + piece.documents, unit + piece.units
    return books


def _survivors(
    piece: Measured, found: Verdicts, judge: _Judge, books: Books, reasons: Reasons, row: int, unit: int
) -> Iterator[Sample]:
    """The samples that stay of one piece, whose first document and unit are `row` and `unit` of all."""
    with np.load(piece.task.out.with_suffix(".npz")) as columns:
        characters_in, bytes_in = columns["characters_in"].tolist(), columns["bytes_in"].tolist()
        roles = iter(columns["roles"].tolist())
    kind = piece.task.kind
    text, start, place = piece.task.out.with_suffix(".txt").read_bytes().decode(), 0, 0
    for number, count in enumerate(found.units):
        units = []
        for length in found.characters[place : place + count]:
            units.append(text[start : start + length])
            start += length
        whole = "".join(units)
        size = len(whole.encode())
        books.read.update(rows=1, characters=characters_in[number], bytes=bytes_in[number])
        books.normalising["characters"] += characters_in[number] - len(whole)
        books.normalising["bytes"] += bytes_in[number] - size
        speakers = islice(roles, count) if kind == "chat" else ()
        first, near = found.first[number], found.near[number]
        reason = judge.document(found.bits[number], first, near)
        if reason is not None:
            shown = whole if kind == "text" else "\n".join(units)
            books.drop(reason, row + number, whole, whole_row=True, shown=shown)
            reasons.row(reason, units=count)
        elif kind != "text":
            judge.keep(row + number, first, near)
            reasons.row(None, units=count)
            yield _whole_sample(kind, units, speakers)
        else:
            left = _left(units, found, place, judge, books, reasons, row + number, unit)
            reasons.row(None if left else NOTHING_LEFT)
            if left:
                judge.keep(row + number, first, near)
                yield Text(left)
        place += count


def _whole_sample(kind: Kind, units: list[str], roles: Iterable[int]) -> Sample:
    """The pair whose sides, or the chat whose turns `units` are."""
    if kind == "pair":
        return Pair(*units)
    return Chat(tuple(Message(ROLES[role], said) for role, said in zip(roles, units, strict=True)))


def _left(
    units: list[str], found: Verdicts, place: int, judge: _Judge, books: Books, reasons: Reasons, row: int, unit: int
) -> str:
    """What stays of a document; "" if nothing does."""
    kept, lost_characters, lost_bytes = list[bool](), 0, 0
    for index, text in enumerate(units, start=place):
        reason = judge.unit(unit + index, found.unit_bits[index], found.unit_first[index])
        kept.append(reason is None)
        reasons.unit(reason)
        if reason is not None:
            body = text.strip()
            books.drop(reason, row, body, whole_row=False)
            lost_characters, lost_bytes = lost_characters + len(body), lost_bytes + len(body.encode())
    left = rejoin(units, kept)
    whole = "".join(units)
    books.joining["characters"] += len(whole) - len(left) - lost_characters
    books.joining["bytes"] += len(whole.encode()) - len(left.encode()) - lost_bytes
    if not left:
        books.drop_rest(row)
    return left
