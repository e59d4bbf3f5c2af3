"""Any text file as rows: txt, csv, tsv, json, jsonl, tmx and parquet, each also packed with gzip or Zstandard."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from studio.data import lines as decoded
from studio.data.compressed import UNPACKED_LIMIT, ByteSource
from studio.data.delimited import read_delimited
from studio.data.encoding import refuse_formats, settle_encoding
from studio.data.json_stream import Row, read_json, read_jsonl
from studio.data.tmx import declared_encoding, read_tmx
from studio.errors import StudioError

Format = Literal["txt", "csv", "tsv", "json", "jsonl", "tmx", "parquet"]

FORMATS: dict[str, Format] = {
    ".txt": "txt",
    ".text": "txt",
    ".md": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tmx": "tmx",
    ".parquet": "parquet",
    ".pq": "parquet",
}
PACKED = (".gz", ".gzip", ".zst", ".zstd")
FIRST_ROWS = 200
COLUMN_LIMIT = 1000
_PARQUET = b"PAR1"


class Rows:
    """The rows of one file: iterate once for ``(row number, {column: value})``, then close.

    Row numbers are lines for txt, csv, tsv and jsonl (the line a record starts on), and count from 1 otherwise.
    Iterating raises StudioError ``data.*`` with the row at fault; nothing is held but the row being read.

    Attributes:
        name: File name for sentences.
        format: What the file is.
        encoding: How its text is spelt; None for Parquet.
        first: Up to `FIRST_ROWS` rows from the start, which iterating gives again.
        columns: Names of the columns; for json, jsonl and tmx those of the first rows.
    """

    def __init__(self, source: ByteSource, form: Format, encoding: str | None, scratch: Path | None) -> None:
        self.name, self.format, self.encoding = source.name, form, encoding
        self._source, self._scratch = source, scratch
        self._read, self._total = 0, 0
        self._unpacked: IO[bytes] | None = None
        try:
            rows = self._numbered(self._open())
            self.first = list(islice(rows, FIRST_ROWS))
            self._rows = chain(self.first, rows)
            self.columns = self._columns()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def share(self) -> float:
        """Share of the file read so far, 0 to 1."""
        if self.format == "parquet":
            return min(1.0, self._read / self._total) if self._total else 1.0
        return self._source.share()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()
        if self._unpacked is not None:
            self._unpacked.close()

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _columns(self) -> list[str]:
        if not self.first:
            raise StudioError("data.file_blank" if self.format in ("txt", "jsonl") else "data.no_rows", file=self.name)
        names = list(dict.fromkeys(name for _, values in self.first for name in values))
        self._refuse_width(len(names))
        return names

    def _refuse_width(self, width: int) -> None:
        if width > COLUMN_LIMIT:
            raise StudioError("data.too_many_columns", file=self.name, columns=width, limit=COLUMN_LIMIT)

    def _numbered(self, rows: Iterator[Row]) -> Iterator[Row]:
        last = 0
        try:
            for last, values in rows:
                self._read += 1
                yield last, values
        except StudioError as error:
            # The byte stream knows that it ends early but not which row that is.
            if error.code in ("data.truncated", "data.damaged") and "row" not in error.details:
                raise StudioError(error.code, **error.details, row=last + 1) from error
            raise

    def _open(self) -> Iterator[Row]:
        if self.format == "parquet":
            return self._parquet()
        encoding = self.encoding or "utf-8"
        if self.format == "txt":
            lines = enumerate(decoded.read_lines(self._source, encoding), start=1)
            return ((row, {"text": line.rstrip("\n")}) for row, line in lines if not line.isspace())
        if self.format == "json":
            return read_json(self._source, encoding)
        if self.format == "jsonl":
            return read_jsonl(self._source, encoding)
        if self.format == "tmx":
            return read_tmx(self._source, encoding)
        return read_delimited(self._source, encoding, tabs=self.format == "tsv")

    def _parquet(self) -> Iterator[Row]:
        row = 0
        try:
            table = pq.ParquetFile(self._seekable())
            self._total = table.metadata.num_rows
            self._refuse_width(len(table.schema_arrow.names))
            for batch in table.iter_batches(batch_size=256):
                for values in batch.to_pylist():
                    row += 1
                    yield row, values
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            # The footer is at the end: a cut file fails here, before any row.
            code = "data.truncated" if row == 0 and "magic bytes" in str(error) else "data.damaged"
            raise StudioError(code, file=self.name, row=row + 1) from error

    def _seekable(self) -> IO[bytes] | Path:
        # Parquet is read from its end, which a packed stream cannot do.
        if self._source.compression is None:
            return self._source.path
        self._unpacked = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 (closed in close)
        shutil.copyfileobj(self._source, self._unpacked, 1 << 20)
        self._unpacked.seek(0)
        return self._unpacked


def open_rows(
    path: Path, *, encoding: str | None = None, scratch: Path | None = None, limit: int = UNPACKED_LIMIT
) -> Rows:
    """Open a file for reading as rows; what is wrong with its start is said here, the rest while iterating.

    Args:
        path: The file; its name says the format, its first bytes whether it is packed.
        encoding: Encoding the user accepted; None finds Unicode by itself and asks about anything else.
        scratch: Folder for unpacking a packed Parquet file; by default the system's.
        limit: Most bytes that a packed file may unpack to.

    Raises:
        StudioError: ``data.no_such_file``, ``data.not_readable``, ``data.file_empty``, ``data.file_blank``,
            ``data.no_rows``, ``data.unknown_format``, ``data.other_format``, ``data.binary``, ``data.encoding``,
            ``data.encoding_unknown``, ``data.encoding_name``, ``data.too_many_columns``, ``data.not_tmx``, or what
            iterating raises.
    """
    source = ByteSource(path, limit=limit)
    try:
        form = find_format(source)
        accepted = encoding or (declared_encoding(source.head) if form == "tmx" else None)
        settled = None if form == "parquet" else settle_encoding(source.head, source.whole, source.name, accepted)
        return Rows(source, form, settled, scratch)
    except BaseException:
        source.close()
        raise


@dataclass(frozen=True, slots=True)
class Look:
    """The start of a file: what it is, its columns and first rows; `encoding` is None for Parquet."""

    format: Format
    encoding: str | None
    columns: list[str]
    rows: list[dict[str, Any]]


def sniff(path: Path, *, encoding: str | None = None) -> Look:
    """Look at the start of a file without reading the rest.

    Raises:
        StudioError: As `open_rows`.
    """
    with open_rows(path, encoding=encoding) as rows:
        return Look(rows.format, rows.encoding, rows.columns, [values for _, values in rows.first])


def read_lines(path: Path, *, encoding: str | None = None) -> Iterator[str]:
    """The lines of a text file, packed or not, without their ends; blank ones too.

    Raises:
        StudioError: ``data.no_such_file``, ``data.not_readable``, ``data.file_empty``, ``data.other_format``,
            ``data.binary``, ``data.encoding`` and what else decoding raises.
    """
    with ByteSource(path) as source:
        refuse_formats(source.head, source.name)
        settled = settle_encoding(source.head, source.whole, source.name, encoding)
        for line in decoded.read_lines(source, settled):
            yield line.rstrip("\n")


def find_format(source: ByteSource) -> Format:
    """The format by the name without ``.gz`` and the like; Parquet also by its first bytes.

    Raises:
        StudioError: ``data.other_format``, ``data.unknown_format``, ``data.file_blank``, or ``data.damaged`` for a
            file that is only called Parquet.
    """
    path = Path(source.name.lower())
    suffix = (path.with_suffix("") if path.suffix in PACKED else path).suffix
    if source.head.startswith(_PARQUET):
        return "parquet"
    refuse_formats(source.head, source.name)
    form = FORMATS.get(suffix)
    if form is None:
        raise StudioError("data.unknown_format", file=source.name, suffix=suffix or "-")
    if form == "parquet":
        raise StudioError("data.damaged", file=source.name, row=1)
    if source.whole and not source.head.strip(b" \t\r\n\f\v\xef\xbb\xbf"):
        raise StudioError("data.file_blank", file=source.name)
    return form
