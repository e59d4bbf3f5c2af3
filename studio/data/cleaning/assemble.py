"""The second half of a cleaning: verdicts and switches decide, survivors are joined, and everything is entered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Marks:
    """One bit for each of many places."""

    def __init__(self, count: int) -> None:
        self._bits = bytearray(count // 8 + 1)

    def __contains__(self, place: int) -> bool:
        return bool(self._bits[place >> 3] & (1 << (place & 7)))

    def add(self, place: int) -> None:
        self._bits[place >> 3] |= 1 << (place & 7)

    def add_all(self, start: int, count: int) -> None:
        first, last = start >> 3, (start + count + 7) >> 3
        bits = int.from_bytes(self._bits[first:last], "little") | ((1 << count) - 1) << (start & 7)
        self._bits[first:last] = bits.to_bytes(last - first, "little")


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

    def doubtful(self, found: Verdicts) -> NDArray[np.int64]:
        """The units of a piece that may be dropped; all others stay if their documents do."""
        touched = found.unit_bits & self._unit_mask != 0
        if self._seen:
            touched |= found.unit_first >= 0
        return np.flatnonzero(touched)

    def keep_units(self, start: int, count: int) -> None:
        """Remember units that stay, one behind the other."""
        self._kept_units.add_all(start, count)

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
        sizes, roles = columns["bytes_stored"].tolist(), iter(columns["roles"].tolist())
        came = {name: int(columns[f"{name}_in"].sum()) for name in ("characters", "bytes")}
    kind = piece.task.kind
    books.read.update(rows=piece.documents, **came)
    books.normalising["characters"] += came["characters"] - int(found.characters.sum())
    books.normalising["bytes"] += came["bytes"] - sum(sizes)
    text = piece.task.out.with_suffix(".txt").read_bytes().decode()
    ends = np.concatenate(([0], np.cumsum(found.units)))
    starts = np.concatenate(([0], np.cumsum(found.characters, dtype=np.int64)))[ends].tolist()
    doubtful = judge.doubtful(found)
    doubts, places = np.searchsorted(doubtful, ends).tolist(), ends.tolist()
    columns_of = zip(found.bits.tolist(), found.first.tolist(), found.near.tolist(), strict=True)
    for number, (bits, first, near) in enumerate(columns_of):
        place, count = places[number], places[number + 1] - places[number]
        whole = text[starts[number] : starts[number + 1]]
        speakers = list(islice(roles, count)) if kind == "chat" else []
        said = [] if kind == "text" else _cut(whole, found.characters[place : place + count])
        reason = judge.document(bits, first, near)
        if reason is not None:
            shown = whole if kind == "text" else "\n".join(said)
            books.drop(reason, row + number, whole, whole_row=True, shown=shown)
            reasons.row(reason, count)
        elif kind != "text":
            judge.keep(row + number, first, near)
            reasons.row(None, count)
            yield _whole_sample(kind, said, speakers)
        else:
            some = doubtful[doubts[number] : doubts[number + 1]].tolist()
            dropped: dict[int, str] = {}
            if some:
                here = slice(place, place + count)
                left = _left(whole, found, here, some, sizes[number], judge, books, row + number, unit, dropped)
            else:
                judge.keep_units(unit + place, count)
                left = _strip(whole, books, row + number)
            reasons.row(None if left else NOTHING_LEFT, count, dropped)
            if left:
                judge.keep(row + number, first, near)
                yield Text(left)


def _whole_sample(kind: Kind, units: list[str], roles: Iterable[int]) -> Sample:
    """The pair whose sides, or the chat whose turns `units` are."""
    if kind == "pair":
        return Pair(*units)
    return Chat(tuple(Message(ROLES[role], said) for role, said in zip(roles, units, strict=True)))


def _cut(whole: str, lengths: Iterable[int]) -> list[str]:
    ends = list(accumulate(lengths))
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _strip(whole: str, books: Books, row: int) -> str:
    """A document that stays whole, but for blanks at its ends."""
    left = whole.strip()
    if len(left) < len(whole):
        books.joining["characters"] += len(whole) - len(left)
        books.joining["bytes"] += len(whole.replace(left, "", 1).encode()) if left else len(whole.encode())
    if not left:
        books.drop_rest(row)
    return left


def _left(
    whole: str,
    found: Verdicts,
    here: slice,
    doubtful: list[int],
    size: int,
    judge: _Judge,
    books: Books,
    row: int,
    unit: int,
    dropped: dict[int, str],
) -> str:
    """What stays of a document of `size` bytes whose units lie `here` in the piece; "" if nothing does.

    `dropped` receives the rule of each unit that goes, by its place in the document.
    """
    lost_characters, lost_bytes, place = 0, 0, here.start
    units = _cut(whole, found.characters[here].tolist())
    kept = [True] * len(units)
    verdicts = zip(doubtful, found.unit_bits[doubtful].tolist(), found.unit_first[doubtful].tolist(), strict=True)
    for index, bits, first in verdicts:
        judge.keep_units(unit + place, index - place)
        place = index + 1
        reason = judge.unit(unit + index, bits, first)
        if reason is not None:
            kept[index - here.start] = False
            dropped[index - here.start] = reason
            body = units[index - here.start].strip()
            lost_bytes += books.drop(reason, row, body, whole_row=False)
            lost_characters += len(body)
    judge.keep_units(unit + place, here.stop - place)
    left = rejoin(units, kept)
    books.joining["characters"] += len(whole) - len(left) - lost_characters
    books.joining["bytes"] += size - len(left.encode()) - lost_bytes
    if not left:
        books.drop_rest(row)
    return left
