"""Writes small files of every format for the tests of `studio.data`."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Row = dict[str, Any]
FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
PACKINGS = ("", ".gz", ".zst")


def spell(form: str, rows: list[Row]) -> bytes:
    """`rows` as a file of the format `form`; txt takes the column ``text``."""
    if form == "txt":
        return "".join(row["text"] + "\n" for row in rows).encode()
    if form == "json":
        return json.dumps(rows, ensure_ascii=False).encode()
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if form == "parquet":
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        return sink.getvalue()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t" if form == "tsv" else ",")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def pack(data: bytes, packing: str) -> bytes:
    """`data` as gzip, Zstandard or as it is."""
    if packing == ".gz":
        return gzip.compress(data, mtime=0)  # ids of tests hold it: two processes must name them alike
    return zstandard.compress(data) if packing == ".zst" else data


def write(folder: Path, name: str, data: bytes | str) -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
