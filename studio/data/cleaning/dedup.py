"""Which texts were there before, exactly or nearly, in memory that does not grow with their number.

Hashes go to files on disk, split by their values into parts of `PART` entries, and each part is sorted alone. What is
found is one number for each text: the place of the first text like it, or -1. On disk this takes 24 bytes for each
sentence and 450 for each document while it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from studio.data.cleaning.hashing import BANDS, PERMUTATIONS, SIGNATURE_BYTES, band_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

PART = 1 << 20
_MOST_PARTS = 256
_CHECKED_AT_ONCE = 1 << 14


def find_first(hashes: Iterable[NDArray[np.uint64]], count: int, scratch: Path) -> Path:
    """For each of `count` texts the place of the first with its hash, or -1 for the first itself: a file of int64."""
    out = scratch / "first.i64"
    with _Ranges(scratch, count) as ranges:
        for places, firsts in _alike(((part, None) for part in hashes), count, scratch):
            ranges.add(places, firsts)
        with out.open("wb") as file:
            for start, pairs in ranges.ascending():
                found = np.full(min(PART, count - start), -1, np.int64)
                found[pairs[:, 0] - start] = pairs[:, 1]
                found.tofile(file)
    return out


def find_near(signatures: Path, count: int, similarity: float, scratch: Path) -> Path:
    """For each of `count` documents the first of those like it, or -1: a file of int64.

    Args:
        signatures: File of uint32 ``(count, PERMUTATIONS)``; a row of zeros takes no part.
        similarity: Least share of equal entries, which estimates the share of common word groups.
    """
    out = scratch / "near.i64"
    with _Ranges(scratch, count) as ranges, signatures.open("rb") as rows, out.open("w+b") as file:
        for places, firsts in _alike(_bands(rows.fileno(), count), count * BANDS, scratch):
            ranges.add(places, firsts)
        for start, pairs in ranges.ascending():
            found = np.full(min(PART, count - start), -1, np.int64)
            for place, first in _verified(rows.fileno(), pairs, similarity):
                if found[place - start] < 0:
                    found[place - start] = _head(file.fileno(), found, start, first)
            file.seek(start * 8)
            file.write(found.tobytes())
            file.flush()
    return out


def link_bands(signatures: Path, count: int, scratch: Path) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places of documents that have a band in common with an earlier one, and the places of the first such.

    Nothing is verified: more are linked than are alike, and all that `find_near` finds, however it orders them.
    """
    with signatures.open("rb") as rows:
        yield from _alike(_bands(rows.fileno(), count), count * BANDS, scratch)


def link_keys(
    keys: Iterable[tuple[NDArray[np.uint64], NDArray[np.int64]]], count: int, scratch: Path
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places whose key stood before, and the places where it stood first.

    Args:
        keys: Keys and their places, block by block; a place may have several.
        count: About how many keys there are.
        scratch: An empty folder.
    """
    yield from _alike(keys, count, scratch)


def _head(file: int, found: NDArray[np.int64], start: int, first: int) -> int:
    # Who is like one that is like another stands for that other.
    before = found[first - start] if first >= start else np.frombuffer(os.pread(file, 8, first * 8), np.int64)[0]
    return int(before) if before >= 0 else first


def _bands(rows: int, count: int) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    for start in range(0, count, _CHECKED_AT_ONCE):
        read = os.pread(rows, _CHECKED_AT_ONCE * SIGNATURE_BYTES, start * SIGNATURE_BYTES)
        signatures = np.frombuffer(read, np.uint32).reshape(-1, PERMUTATIONS)
        signed = np.flatnonzero(signatures.any(axis=1))
        keys = band_keys(signatures[signed])
        for band in range(BANDS):
            yield np.ascontiguousarray(keys[:, band]), signed + start


def _verified(rows: int, pairs: NDArray[np.int64], similarity: float) -> Iterator[tuple[int, int]]:
    """Pairs (place, earlier place) in the order of both whose signatures are alike."""
    pairs = np.unique(pairs, axis=0)
    for start in range(0, len(pairs), _CHECKED_AT_ONCE):
        some = pairs[start : start + _CHECKED_AT_ONCE]
        left, right = (_signatures(rows, some[:, side]) for side in (0, 1))
        alike = (left == right).mean(axis=1) >= similarity
        yield from ((int(place), int(first)) for place, first in some[alike])


def _signatures(rows: int, places: NDArray[np.int64]) -> NDArray[np.uint32]:
    read = b"".join(os.pread(rows, SIGNATURE_BYTES, int(place) * SIGNATURE_BYTES) for place in places)
    return np.frombuffer(read, np.uint32).reshape(-1, PERMUTATIONS)


def _alike(
    keys: Iterable[tuple[NDArray[np.uint64], NDArray[np.int64] | None]], count: int, scratch: Path
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places whose key stood before, with the place where it stood first; `count` is about how many keys come."""
    parts = min(_MOST_PARTS, 1 << (count // PART).bit_length())
    names = [scratch / f"keys-{part:03d}" for part in range(parts)]
    files = [name.open("wb") for name in names]
    seen = 0
    for some, given in keys:
        places = np.arange(seen, seen + len(some)) if given is None else given
        seen += len(some)
        pairs = np.column_stack([some, places.astype(np.uint64)])
        part_of = some & np.uint64(parts - 1)
        for part, file in enumerate(files):
            file.write((pairs if parts == 1 else pairs[part_of == part]).tobytes())
    for file in files:
        file.close()
    for name in names:
        pairs = np.fromfile(name, np.uint64).reshape(-1, 2)
        name.unlink()
        order = np.argsort(pairs[:, 0], kind="stable")
        ordered, places = pairs[order, 0], pairs[order, 1].astype(np.int64)
        if not len(ordered):
            continue
        begins = np.concatenate(([True], ordered[1:] != ordered[:-1]))
        firsts = places[np.flatnonzero(begins)][np.cumsum(begins) - 1]
        yield places[~begins], firsts[~begins]


class _Ranges:
    """Pairs (place, first) sorted into files by ranges of `PART` places, to be read back in ascending ranges."""

    def __init__(self, scratch: Path, count: int) -> None:
        self._names = [scratch / f"range-{start}" for start in range(0, count, PART)]

    def __enter__(self) -> _Ranges:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            name.unlink(missing_ok=True)

    def add(self, places: NDArray[np.int64], firsts: NDArray[np.int64]) -> None:
        pairs = np.column_stack([places, firsts])
        ranges = places // PART
        for number in np.unique(ranges):
            with self._names[number].open("ab") as file:
                file.write(pairs[ranges == number].tobytes())

    def ascending(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        for number, name in enumerate(self._names):
            read = np.fromfile(name, np.int64) if name.exists() else np.zeros(0, np.int64)
            yield number * PART, read.reshape(-1, 2)
