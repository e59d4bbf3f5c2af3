"""Two text files that say the same line by line, one in Persian and one in English, as rows of pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from types import TracebackType

from studio.data.compressed import ByteSource
from studio.data.encoding import refuse_formats, settle_encoding
from studio.data.json_stream import Row
from studio.data.lines import read_lines
from studio.data.mapping import Mapping, make_mapping
from studio.data.read import FIRST_ROWS
from studio.data.script import count_letters
from studio.errors import StudioError

MAPPING: Mapping = make_mapping("pair", fa="fa", en="en")
COLUMNS = ["fa", "en"]


class _Side:
    """One of the two files, line by line."""

    def __init__(self, path: Path, encoding: str | None) -> None:
        self._source = ByteSource(path)
        self.name = self._source.name
        try:
            refuse_formats(self._source.head, self.name)
            self.encoding = settle_encoding(self._source.head, self._source.whole, self.name, encoding)
            lines = self._read()
            self.first = list(islice(lines, FIRST_ROWS))
        except BaseException:
            self._source.close()
            raise
        self.lines = chain(self.first, lines)
        self.share, self.close = self._source.share, self._source.close

    def _read(self) -> Iterator[str]:
        row = 1
        try:
            for line in read_lines(self._source, self.encoding):
                yield line.rstrip("\n")
                row += 1
        except StudioError as error:
            # The byte stream knows that it ends early but not which line that is.
            if error.code in ("data.truncated", "data.damaged") and "row" not in error.details:
                raise StudioError(error.code, **error.details, row=row) from error
            raise


class Aligned:
    """The lines of two files, one beside the other: iterate once for ``(line, {"fa": …, "en": …})``, then close.

    Which file is the Persian one is judged by its letters. Lines blank in both files give no row, a line blank in one
    gives a row with an empty text. A few hundred lines are held.

    Attributes:
        columns: ``fa`` and ``en``.
        encoding: How the texts of both files are spelt.
        first: Up to `FIRST_ROWS` rows from the start, which iterating gives again.

    Raises:
        StudioError: ``data.aligned_two`` unless there are two files, ``data.aligned_languages`` if they are not one in
            Arabic script and one in another, and what reading lines raises; while iterating ``data.aligned_lengths``
            with both numbers of lines and the first line left over (`row`). Blank lines at the end do not count.
    """

    columns = COLUMNS

    def __init__(self, files: Sequence[Path], encoding: str | None = None) -> None:
        if len(files) != 2:
            raise StudioError("data.aligned_two", count=len(files))
        self._sides: list[_Side] = []
        try:
            for file in files:
                self._sides.append(_Side(file, encoding))
            shares = [count_letters(side.first).share for side in self._sides]
            names = [side.name for side in self._sides]
            if (shares[0] >= 0.5) == (shares[1] >= 0.5):
                raise StudioError("data.aligned_languages", first=names[0], second=names[1])
            self._persian = int(shares[1] >= 0.5)
            rows = self._rows()
            self.first = list(islice(rows, FIRST_ROWS))
            if not self.first:
                raise StudioError("data.file_blank", file=names[0])
        except BaseException:
            self.close()
            raise
        self._all = chain(self.first, rows)
        self.encoding = ", ".join(dict.fromkeys(side.encoding for side in self._sides))

    def __iter__(self) -> Iterator[Row]:
        return self._all

    def share(self) -> float:
        """Share of the files read so far, 0 to 1."""
        return sum(side.share() for side in self._sides) / 2

    def close(self) -> None:
        """Let go of the files."""
        for side in self._sides:
            side.close()

    def __enter__(self) -> Aligned:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self) -> Iterator[Row]:
        persian, english = self._sides[self._persian], self._sides[1 - self._persian]
        pairs = enumerate(zip_longest(persian.lines, english.lines), start=1)
        for row, (fa, en) in pairs:
            if fa is None or en is None:
                rest = (left[0] or left[1] or "" for _, left in pairs)
                self._compare_ends(row, persian if en is None else english, chain([fa or en or ""], rest))
                return
            if fa.strip() or en.strip():
                yield row, {"fa": fa, "en": en}

    def _compare_ends(self, row: int, longer: _Side, rest: Iterator[str]) -> None:
        """Refuse lines of the `longer` file from `row` on that say something."""
        last = max((count for count, line in enumerate(rest, start=row) if line.strip()), default=0)
        if last:
            first, second = ((side.name, last if side is longer else row - 1) for side in self._sides)
            raise StudioError(
                "data.aligned_lengths",
                first=first[0],
                first_lines=first[1],
                second=second[0],
                second_lines=second[1],
                file=longer.name,
                row=row,
            )
