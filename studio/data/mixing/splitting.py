"""Which rows are held out: whole clusters of rows that are alike, so that no near-duplicate stands on both sides.

Two rows are linked if their words are the same (punctuation and spaces aside), if a side of one pair is a side of the
other, or if their MinHash signatures share a band, whether or not `near_duplicates` of a cleaning would drop one of
them. Links of links are one cluster. Hashes and clusters wait on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from studio.data.cleaning.dedup import link_bands, link_keys
from studio.data.cleaning.hashing import hash_text, hash_words, sign
from studio.data.mixing.rendering import written
from studio.data.persian.normalise import normalise
from studio.data.sample import Kind, Pair, Sample
from studio.data.stored import Group, read_group
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCRATCH_ROW = 500
"""Bytes on disk for each row while clusters are found: its signature 240, keys of its bands 192, the rest up to 40."""

_ROWS_AT_ONCE = 1 << 20
_CHARACTERS_AT_ONCE = 500_000
_BINS = 1 << 16


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows of several datasets are held out.

    Attributes:
        held: File of one byte for each row of each dataset in their order: 1 for a held-out row.
        starts: Where each dataset begins in it.
    """

    held: Path
    starts: tuple[int, ...]

    def of_group(self, source: int, group: Group) -> NDArray[np.bool_]:
        """Which rows of one piece of dataset number `source` are held out."""
        return np.fromfile(self.held, np.bool_, group.rows, offset=self.starts[source] + group.first)

    def count(self, source: int, rows: int) -> int:
        """Held-out rows of dataset number `source`, which has `rows` rows."""
        return int(np.fromfile(self.held, np.bool_, rows, offset=self.starts[source]).sum())


def split(
    datasets: Sequence[tuple[Kind, Sequence[Group]]],
    share: float,
    seed: int,
    scratch: Path,
    *,
    progress: Progress,
    stopping: Stopping,
) -> Split:
    """Set aside about `share` of the rows of `datasets`, cluster by cluster; the same for the same seed.

    A cluster larger than all that is to be set aside stays in training.

    Args:
        datasets: Kind and pieces of each.
        share: 0 to 1.
        seed: Of the choice.
        scratch: An empty folder for what is found out; `Split.held` stays in it.
        progress: Told ``progress.mix.compare``, from 0 to 1.
        stopping: Asked at every piece.

    Raises:
        StudioError: ``mix.held_out_empty`` if everything is alike, ``job.stopped`` or ``data.dataset_damaged``.
    """
    sizes = [sum(group.rows for group in groups) for _, groups in datasets]
    starts, rows = tuple(int(sum(sizes[:at])) for at in range(len(sizes))), sum(sizes)
    heads = _Clusters(scratch / "clusters.i64", rows)
    with (scratch / "signatures").open("wb") as signatures, (scratch / "keys").open("wb") as keys:
        width = 2 if any(kind == "pair" for kind, _ in datasets) else 1
        for place, (kind, group) in enumerate(_pieces(datasets)):
            if stopping():
                raise StudioError("job.stopped")
            progress(0.9 * place / max(1, sum(len(groups) for _, groups in datasets)), "progress.mix.compare")
            _look(read_group(group, kind), width, signatures, keys)
    for places, firsts in link_keys(_keys(scratch / "keys", rows, width), rows * width, scratch):
        heads.link(places, firsts)
    for places, firsts in link_bands(scratch / "signatures", rows, scratch):
        heads.link(places, firsts)
    progress(1.0, "progress.mix.compare")
    held = _choose(heads, rows, share, seed, scratch)
    for name in ("signatures", "keys", "clusters.i64"):
        (scratch / name).unlink()
    return Split(held, starts)


def _pieces(datasets: Sequence[tuple[Kind, Sequence[Group]]]) -> Iterator[tuple[Kind, Group]]:
    for kind, groups in datasets:
        for group in groups:
            yield kind, group


def _look(samples: list[Sample], width: int, signatures: IO[bytes], keys: IO[bytes]) -> None:
    """Write the signature and the keys of each sample; what is no pair has the same key `width` times."""
    block, size = list[tuple[str, ...]](), 0
    for number, sample in enumerate(samples, start=1):
        block.append(_sides(sample))
        size += sum(map(len, block[-1]))
        if size >= _CHARACTERS_AT_ONCE or number == len(samples):
            texts = [text for sides in block for text in sides]
            words, begins = hash_words(texts)
            at = np.concatenate(([0], np.cumsum([len(sides) for sides in block])))
            signatures.write(sign(words, begins[at]).tobytes())
            found = [_key(text, words[begins[i] : begins[i + 1]]) for i, text in enumerate(texts)]
            if width == 2:
                found = [found[place] for first, end in zip(at, at[1:], strict=False) for place in (first, end - 1)]
            keys.write(np.array(found, np.uint64).tobytes())
            block, size = [], 0


def _sides(sample: Sample) -> tuple[str, ...]:
    if isinstance(sample, Pair):
        return normalise(sample.fa), normalise(sample.en)
    return (normalise(written(sample)),)


def _key(text: str, words: NDArray[np.uint64]) -> int:
    if not len(words):  # signs alone: «؟!» is like no other text but itself
        return hash_text(text)
    return int.from_bytes(blake2b(words.tobytes(), digest_size=8).digest(), "little")


def _keys(file: Path, rows: int, width: int) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    for start in range(0, rows, _ROWS_AT_ONCE):
        count = min(_ROWS_AT_ONCE, rows - start)
        found = np.fromfile(file, np.uint64, count * width, offset=start * width * 8)
        yield found, np.repeat(np.arange(start, start + count), width)


class _Clusters:
    """Rows joined into clusters; the head of each is its first row. On disk, as there may be a hundred million."""

    def __init__(self, file: Path, rows: int) -> None:
        self._heads = np.memmap(file, np.int64, "w+", shape=max(1, rows))
        self._rows = rows
        for start in range(0, rows, _ROWS_AT_ONCE):
            end = min(rows, start + _ROWS_AT_ONCE)
            self._heads[start:end] = np.arange(start, end)

    def link(self, places: NDArray[np.int64], firsts: NDArray[np.int64]) -> None:
        heads = self._heads
        apart = heads[places] != heads[firsts]
        for place, first in zip(places[apart].tolist(), firsts[apart].tolist(), strict=True):
            one, other = self._head(place), self._head(first)
            heads[max(one, other)] = min(one, other)

    def _head(self, place: int) -> int:
        heads = self._heads
        while (head := int(heads[place])) != place:
            heads[place] = heads[head]  # halves the way of the next one
            place = head
        return place

    def blocks(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Heads of all rows, block by block with the first row of each."""
        for start in range(0, self._rows, _ROWS_AT_ONCE):
            found = np.array(self._heads[start : min(self._rows, start + _ROWS_AT_ONCE)])
            while len(further := np.flatnonzero(self._heads[found] != found)):
                found[further] = self._heads[found[further]]
            yield start, found


def _choose(clusters: _Clusters, rows: int, share: float, seed: int, scratch: Path) -> Path:
    """Hold out the clusters with the smallest random numbers, as many as come to `share` of the rows."""
    sizes = np.memmap(scratch / "sizes.i64", np.int64, "w+", shape=max(1, rows))
    for _, heads in clusters.blocks():
        np.add.at(sizes, heads, 1)
    target = max(1, int(share * rows))
    bins = np.zeros(_BINS, np.int64)
    for start in range(0, rows, _ROWS_AT_ONCE):
        here = np.array(sizes[start : start + _ROWS_AT_ONCE])
        some = np.flatnonzero((here > 0) & (here <= target))
        np.add.at(bins, _bins(some + start, seed), here[some])
    edge = int(np.searchsorted(np.cumsum(bins), target, side="right"))
    if not bins[:edge].any():
        if not bins.any():
            raise StudioError("mix.held_out_empty", rows=rows)
        edge = int(np.flatnonzero(bins)[0]) + 1
    out = scratch / "held.u1"
    with out.open("wb") as file:
        for _, heads in clusters.blocks():
            ((_bins(heads, seed) < edge) & (sizes[heads] <= target)).tofile(file)
    del sizes
    (scratch / "sizes.i64").unlink()
    return out


def _bins(heads: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A random number below `_BINS` for each cluster (splitmix64)."""
    mixed = (heads.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed += np.uint64((seed * 0xD1B54A32D192ED03) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed >> np.uint64(48)).astype(np.int64)
