"""What the rules found out about each document and unit, kept beside the result so that a rule can be undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from studio.data.cleaning.dedup import find_first, find_near
from studio.data.cleaning.hashing import SIGNATURE_BYTES
from studio.data.cleaning.measure import Measured
from studio.data.cleaning.switches import Switches

if TYPE_CHECKING:
    from numpy.typing import NDArray

DOCUMENTS, UNITS = "verdicts-documents.parquet", "verdicts-units.parquet"

# `bits`: one for each rule that would drop it, in the plan's order. `first`, `near`: the place of the first document
# (or unit) like it, or -1. A unit's `characters` are those of the stored text, with the blanks that follow.
_DOCUMENT = pa.schema([("units", pa.int32()), ("bits", pa.uint16()), ("first", pa.int64()), ("near", pa.int64())])
_UNIT = pa.schema([("characters", pa.int32()), ("bits", pa.uint16()), ("first", pa.int64())])


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts on one piece of the parent: columns of equal length for its documents and for their units."""

    units: NDArray[np.int32]
    bits: NDArray[np.uint16]
    first: NDArray[np.int64]
    near: NDArray[np.int64]
    characters: NDArray[np.int32]
    unit_bits: NDArray[np.uint16]
    unit_first: NDArray[np.int64]


def write_verdicts(pieces: Sequence[Measured], switches: Switches, folder: Path, scratch: Path) -> None:
    """Compare everything with everything before and write the verdicts, one row group for each piece."""
    documents = sum(piece.documents for piece in pieces)
    units = sum(piece.units for piece in pieces)
    first = find_first((_column(piece, "hashes") for piece in pieces), documents, _made(scratch / "documents"))
    near = _find_near(pieces, documents, switches, scratch)
    unit_first = None
    if any(rule.name == "seen" for rule in switches.plan.units):
        unit_first = find_first((_column(piece, "unit_hashes") for piece in pieces), units, _made(scratch / "units"))
    with (
        pq.ParquetWriter(folder / DOCUMENTS, _DOCUMENT, compression="zstd") as document_rows,
        pq.ParquetWriter(folder / UNITS, _UNIT, compression="zstd") as unit_rows,
    ):
        start = unit_start = 0
        for piece in pieces:
            with np.load(piece.task.out.with_suffix(".npz")) as found:
                columns = [found["units"], found["bits"], _slice(first, start, piece.documents)]
                columns.append(_slice(near, start, piece.documents))
                document_rows.write_table(_table(columns, _DOCUMENT))
                bits = found["unit_bits"] if switches.plan.units else np.zeros(piece.units, np.uint16)
                unit_columns = [found["lengths"], bits, _slice(unit_first, unit_start, piece.units)]
                unit_rows.write_table(_table(unit_columns, _UNIT))
            start, unit_start = start + piece.documents, unit_start + piece.units


def read_verdicts(folder: Path) -> Iterator[Verdicts]:
    """The verdicts piece by piece."""
    with pq.ParquetFile(folder / DOCUMENTS) as documents, pq.ParquetFile(folder / UNITS) as units:
        for number in range(documents.num_row_groups):
            columns = [*documents.read_row_group(number).columns, *units.read_row_group(number).columns]
            yield Verdicts(*(column.to_numpy() for column in columns))


def _find_near(pieces: Sequence[Measured], documents: int, switches: Switches, scratch: Path) -> Path:
    rule = next(rule for rule in switches.plan.documents if rule.name == "near_duplicates")
    place = _made(scratch / "near")
    with (place / "signatures").open("wb") as file:
        for piece in pieces:
            file.write(_column(piece, "signatures").tobytes())
        assert file.tell() == documents * SIGNATURE_BYTES, (file.tell(), documents)
    return find_near(place / "signatures", documents, switches.value(rule), place)


def _column(piece: Measured, name: str) -> Any:
    with np.load(piece.task.out.with_suffix(".npz")) as found:
        return found[name]


def _slice(file: Path | None, start: int, count: int) -> Any:
    return np.full(count, -1, np.int64) if file is None else np.fromfile(file, np.int64, count, offset=start * 8)


def _table(columns: list[Any], schema: pa.Schema) -> pa.Table:
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
