"""Texts as 64-bit numbers: whole ones, groups of words in them, and MinHash signatures of documents."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from studio.data.cleaning.crowd import Crowd

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


def hash_text(text: str) -> int:
    """64 bits of a text, blanks at its ends aside."""
    return int.from_bytes(blake2b(text.strip().encode(), digest_size=8).digest(), "little")


def hash_words(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all words of `texts` one after the other, and where each text begins, with the end as the last entry.

    A word is a run of letters, digits, marks and half-spaces, capitals aside.
    """
    return Crowd(texts).words()


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
