"""Which rule dropped each row and each unit of a cleaned dataset's parent, so that every drop can be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from studio.data.cleaning.ledger import NOTHING_LEFT
from studio.data.cleaning.switches import Switches

ROWS, UNITS = "reasons-rows.parquet", "reasons-units.parquet"
_SCHEMA = pa.schema([("reason", pa.uint8())])


def names(switches: Switches) -> list[str]:
    """The reasons in the order of their numbers, which start at 1; 0 is «kept»."""
    return [*(rule.name for rule in switches.plan.rules), NOTHING_LEFT]


class Reasons:
    """Takes down the reason of every row and unit while a cleaning writes; one row group for each piece."""

    def __init__(self, rows: Any, units: Any, switches: Switches) -> None:
        self._writers = (rows, units)
        self._numbers: dict[str | None, int] = {name: place for place, name in enumerate(names(switches), start=1)}
        self._numbers[None] = 0
        self._found = (bytearray(), bytearray())

    def row(self, reason: str | None, units: int, dropped: Mapping[int, str] | None = None) -> None:
        """Enter a row of so many `units`; `dropped` has the rules of those that went by themselves, by their place."""
        self._found[0].append(self._numbers[reason])
        start = len(self._found[1])
        self._found[1].extend(bytes(units))
        for place, rule in (dropped or {}).items():
            self._found[1][start + place] = self._numbers[rule]

    def end_piece(self) -> None:
        """Write down what came since the last piece."""
        for writer, found in zip(self._writers, self._found, strict=True):
            writer.write_table(pa.table([pa.array(np.frombuffer(bytes(found), np.uint8))], schema=_SCHEMA))
            found.clear()


@contextmanager
def take_down(folder: Path, switches: Switches) -> Iterator[Reasons]:
    """The files of `folder` open for writing."""
    with (
        pq.ParquetWriter(folder / ROWS, _SCHEMA, compression="zstd") as rows,
        pq.ParquetWriter(folder / UNITS, _SCHEMA, compression="zstd") as units,
    ):
        yield Reasons(rows, units, switches)


def read(file: Path) -> NDArray[np.uint8]:
    """All reasons of one of the files, one byte each."""
    found: NDArray[np.uint8] = pq.read_table(file).column(0).to_numpy()
    return found
