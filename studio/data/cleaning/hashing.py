"""Texts as 64-bit numbers: whole ones, groups of words in them, and MinHash signatures of documents."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHINGLE = 3
"""Words in a group of a signature."""

BANDS, ROWS = 12, 5
"""Documents with a Jaccard similarity of 0.8 share a band with 99%, of 0.7 with 89%; whole signatures then decide.

FineWeb's 14 bands of 8 find 92% and 56% of those, without a second look, for twice the time and disk.
"""

PERMUTATIONS = BANDS * ROWS
SIGNATURE_BYTES = 4 * PERMUTATIONS
LEAST_WORDS = 10
"""Shorter documents get no signature: two of their words in common already make them alike."""

_SEED = 7
_ODD = 0xD6E8FEB86659FD93
_INVERSE = pow(_ODD, -1, 2**64)
_CODES = 0x110000


def hash_text(text: str) -> int:
    """64 bits of a text, blanks at its ends aside."""
    return int.from_bytes(blake2b(text.strip().encode(), digest_size=8).digest(), "little")


def hash_words(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all words of `texts` one after the other, and where each text begins, with the end as the last entry.

    A word is a run of letters, digits, marks and half-spaces, capitals aside. Each is a sum over its characters of
    ``number(character) * odd ** place``: prefix sums give all of them at once, four times as fast as a dictionary.
    """
    numbers, in_word = _characters()
    joined = "\n".join(texts) + "\n"
    codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    inside = np.concatenate(([False], in_word[codes]))
    begins = np.flatnonzero(inside[1:] & ~inside[:-1])
    ends = np.flatnonzero(inside[:-1] & ~inside[1:])
    powers = _powers(_ODD, len(codes))
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(numbers[codes] * powers)))
    words = (sums[ends] - sums[begins]) * _powers(_INVERSE, len(codes))[begins]
    words ^= words >> np.uint64(31)
    firsts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) + 1 for text in texts], out=firsts[1:])
    return words * np.uint64(_ODD), np.searchsorted(begins, firsts)


@cache
def _characters() -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    # A random number for each code point, the same in every process, and whether it belongs to words.
    numbers = np.random.default_rng(_SEED).integers(0, 2**64, _CODES, np.uint64)
    in_word = np.zeros(_CODES, bool)
    for code in range(0x40000):  # no letter is assigned from plane 4 on
        letter = chr(code)
        in_word[code] = letter.isalnum() or unicodedata.category(letter) == "Mn" or code == 0x200C
        if len(letter.lower()) == 1 and letter.lower() != letter:
            numbers[code] = numbers[ord(letter.lower())]
    return numbers, in_word


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    known = _known_powers.get(base)
    if known is None or len(known) < count:
        known = np.full(max(count, 1 << 20), base, np.uint64)
        known[0] = 1
        _known_powers[base] = np.cumprod(known, out=known)
    return _known_powers[base][:count]


_known_powers: dict[int, NDArray[np.uint64]] = {}


def hash_groups(
    words: NDArray[np.uint64], starts: NDArray[np.int64], size: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all groups of `size` neighbouring words that lie within one document, and where documents begin."""
    count = max(0, len(words) - size + 1)
    groups = np.zeros(count, np.uint64)
    for place in range(size):
        factor = np.uint64((0x9E3779B97F4A7C15 * (2 * place + 1) ** 5) % 2**64 | 1)
        groups += words[place : place + count] * factor
    lengths = np.diff(starts)
    inside = np.zeros(len(words), bool)
    # A difference of +1 at the first group of a document and -1 after its last one, summed up.
    kept = np.maximum(lengths - size + 1, 0)
    edges = np.zeros(len(words) + 1, np.int64)
    np.add.at(edges, starts[:-1], kept > 0)
    np.add.at(edges, starts[:-1] + kept, -(kept > 0).astype(np.int64))
    inside = np.cumsum(edges)[:count] > 0
    begins = np.zeros(len(starts), np.int64)
    np.cumsum(kept, out=begins[1:])
    return groups[inside], begins


def sign(words: NDArray[np.uint64], starts: NDArray[np.int64]) -> NDArray[np.uint32]:
    """MinHash signatures ``(documents, PERMUTATIONS)`` over groups of `SHINGLE` words; zeros for short documents."""
    from rensa import RMinHash

    groups, begins = hash_groups(words, starts, SHINGLE)
    rows = RMinHash.digest_matrix_from_flat_token_hashes(groups, begins.astype(np.uint64), PERMUTATIONS, _SEED)
    entries = chain.from_iterable(rows.to_rows())
    signatures = np.fromiter(entries, np.uint32).reshape(len(starts) - 1, PERMUTATIONS)
    signatures[np.diff(starts) < LEAST_WORDS] = 0
    return signatures


def band_keys(signatures: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """One number for each band of each document, ``(documents, BANDS)``; equal numbers mean equal bands."""
    mixed = np.zeros((len(signatures), BANDS), np.uint64)
    columns = signatures.reshape(-1, BANDS, ROWS).astype(np.uint64)
    for row in range(ROWS):
        mixed = (mixed ^ columns[:, :, row]) * np.uint64(0xFF51AFD7ED558CCD)
        mixed ^= mixed >> np.uint64(29)
    return mixed ^ (np.arange(BANDS, dtype=np.uint64) * np.uint64(0xC4CEB9FE1A85EC53))
