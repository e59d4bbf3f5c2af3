"""Rows of csv and tsv: the delimiter is found by trying, a ragged row is named."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from studio.data.compressed import ByteSource
from studio.data.lines import LINE_LIMIT, read_lines
from studio.errors import StudioError

# Long documents in quotes are fine; what swallows more than this is a quote that never closes.
FIELD_LIMIT = LINE_LIMIT // 4
SNIFF_RECORDS = 200


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records are cut: one delimiter, and whether double quotes protect it."""

    delimiter: str
    quoted: bool = True

    def reader(self, lines: Iterator[str]) -> Any:
        """A strict csv reader over `lines`."""
        csv.field_size_limit(FIELD_LIMIT)
        if self.quoted:
            return csv.reader(lines, delimiter=self.delimiter, strict=True)
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=True)


_CSV = (Dialect(","), Dialect(";"), Dialect("\t"))
# Tab-separated corpora often hold raw quotes.
_TSV = (Dialect("\t"), Dialect("\t", quoted=False))


def find_dialect(head: str, whole: bool, tabs: bool) -> Dialect:
    """The dialect that cuts the first records of `head` into the same number of columns, the most columns first.

    Args:
        head: First characters of the file.
        whole: Whether `head` is all; otherwise its last record may be cut and is left out.
        tabs: Whether the file calls itself tsv.
    """
    candidates = _TSV if tabs else _CSV
    lines = [line + "\n" for line in head.split("\n")]
    return max(candidates, key=lambda dialect: _fit(dialect, lines, whole))


def read_delimited(source: ByteSource, encoding: str, *, tabs: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a file whose first record names the columns, each with the line it starts on.

    A column without a name is called ``column_3``; one that repeats a name gets ``_2``. A row may leave out nothing.

    Raises:
        StudioError: ``data.ragged`` (row, expected, found), ``data.csv_quotes``, ``data.field_too_long``,
            ``data.truncated`` for a quote open at the end, and what `read_lines` raises.
    """
    text = source.head.decode(encoding, "ignore")
    # Old Macintosh files end lines with a bare \r; everywhere else \r may be part of a quoted field.
    translate = "\n" not in text and "\r" in text
    dialect = find_dialect(text.replace("\r", "\n") if translate else text, source.whole, tabs)
    reader = dialect.reader(read_lines(source, encoding, translate=translate))
    records = _records(reader, source.name)
    names: list[str] = []
    for row, record in records:
        if not names:
            names = _unique(record)
        elif len(record) != len(names):
            raise StudioError("data.ragged", file=source.name, row=row, expected=len(names), found=len(record))
        else:
            yield row, dict(zip(names, record, strict=True))


def _records(reader: Any, file: str) -> Iterator[tuple[int, list[str]]]:
    while True:
        row = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            reason = str(error)
            if "unexpected end" in reason:
                raise StudioError("data.truncated", file=file, row=row) from error
            if "field larger" in reason:
                raise StudioError("data.field_too_long", file=file, row=row, limit_mb=FIELD_LIMIT / 1e6) from error
            raise StudioError("data.csv_quotes", file=file, row=row) from error
        if record is None:
            return
        # A blank line is no record, except that a lone empty field is written as a pair of quotes, which gives [""].
        if record:
            yield row, record


def _fit(dialect: Dialect, lines: list[str], whole: bool) -> tuple[bool, int, int]:
    widths: list[int] = []
    try:
        widths.extend(len(record) for record in islice(dialect.reader(iter(lines)), SNIFF_RECORDS) if record)
    except csv.Error:
        # The head may end inside a quoted field; a fault earlier than that is this dialect's.
        if whole:
            return (False, 0, 0)
    if not whole and len(widths) < SNIFF_RECORDS:
        widths = widths[:-1]
    same = sum(width == widths[0] for width in widths) if widths else 0
    return (bool(widths) and widths[0] > 1, same * 10 // max(1, len(widths)), widths[0] if widths else 0)


def _unique(names: list[str]) -> list[str]:
    taken: list[str] = []
    for place, name in enumerate(names, start=1):
        base = unique = name.strip() or f"column_{place}"
        count = 1
        while unique in taken:
            count += 1
            unique = f"{base}_{count}"
        taken.append(unique)
    return taken
