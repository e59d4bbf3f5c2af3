"""Many texts at once: their characters as one array, and what that tells of all words without cutting any out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.data.cleaning.pieces import CODE_SIGNS, LINE_ENDS
from studio.data.language import Guess

if TYPE_CHECKING:
    from numpy.typing import NDArray

IN_WORD, BLANK, LETTER, CODE, CAPITAL, ARABIC, END, SIGN = (np.uint8(1 << place) for place in range(8))
"""Kinds of characters: letters, digits, marks and half-spaces; what `str.split` splits at; `[^\\W\\d_]`; signs that
are common in code; what has a small letter, which counts as that; `\\u0620-\\u06ff`; ends of prose lines; ``#…``."""

_SEED = 7
_ODD = 0xD6E8FEB86659FD93
_INVERSE = pow(_ODD, -1, 2**64)
_CODES = 0x110000
_ASSIGNED = 0x40000  # no letter is assigned from plane 4 on
_CAPITALS = np.uint64(0x9E3779B97F4A7C15)


class Crowd:
    """Texts, one below the other.

    The hash of a run of characters is the sum over them of ``number(character) * odd ** place``: sums from the
    beginning give those of all words, sentences and documents by subtraction.

    Attributes:
        text: All texts, a line end after each.
        kinds: Of every character of `text`.
        starts: Where each text begins, with the end as the last entry.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        numbers, kinds = _characters()
        self.text = "\n".join(texts) + "\n"
        codes = np.frombuffer(self.text.encode("utf-32-le"), np.uint32).astype(np.intp)
        self.kinds = kinds[codes]
        self.starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1, out=self.starts[1:])
        self._codes = codes
        self._sums = np.zeros(len(codes) + 1, np.uint64)
        terms = numbers[codes]
        terms *= _powers(_ODD, len(codes))
        np.cumsum(terms, out=self._sums[1:])

    def hashes(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Of the runs from `begins` to `ends`; capitals count as small letters."""
        found = (self._sums[ends] - self._sums[begins]) * _powers(_INVERSE, len(self._codes))[begins]
        found ^= found >> np.uint64(31)
        hashes: NDArray[np.uint64] = found * np.uint64(_ODD)
        return hashes

    def words(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Hashes of all runs of letters, digits, marks and half-spaces, and the first of each text, with the end."""
        begins, ends = self._runs(self.kinds & IN_WORD)
        return self.hashes(begins, ends), np.searchsorted(begins, self.starts)

    @cached_property
    def tokens(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the words of ``text.split()`` begin and end."""
        return self._runs(~self.kinds & BLANK)

    def places(self, kind: np.uint8) -> NDArray[np.int64]:
        """Where the characters of a kind stand."""
        return np.flatnonzero(self.kinds & kind)

    @cached_property
    def line_numbers(self) -> NDArray[np.int32]:
        """How many line ends stand before each character."""
        found = np.zeros(len(self._codes) + 1, np.int32)
        np.cumsum(self._codes == 10, out=found[1:])
        return found

    def capitals(self, begins: NDArray[np.int64]) -> NDArray[np.uint64]:
        """For each of the runs at ascending `begins` a number of its capitals and their places; 0 without any."""
        places, found = self.places(CAPITAL), np.zeros(len(begins), np.uint64)
        if len(places):
            owners = np.searchsorted(begins, places, side="right") - 1
            numbers = _characters()[0][self._codes[places]] ^ _CAPITALS
            np.add.at(found, owners, numbers * _powers(_ODD, len(self._codes))[places - begins[owners]])
        return found

    def _runs(self, flags: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        # The last character is a line end, so that no run reaches beyond it.
        inside = np.zeros(len(flags) + 1, bool)
        inside[1:] = flags
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        return edges[::2], edges[1::2]


class Spans:
    """Pieces of a crowd one behind the other: its documents, or the units of those.

    Attributes:
        guesses: The languages of those that were asked about.
    """

    def __init__(self, crowd: Crowd, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self.crowd, self.begins, self.ends = crowd, begins, ends
        self.guesses: dict[int, Guess] = {}
        self._numbers: dict[int, NDArray[np.int16]] = {}

    def text(self, place: int) -> str:
        """One of the pieces."""
        begins, ends = self._bounds
        return self.crowd.text[begins[place] : ends[place]]

    @cached_property
    def _bounds(self) -> tuple[list[int], list[int]]:
        # An array takes ten times as long as a list to give one number away.
        return self.begins.tolist(), self.ends.tolist()

    @cached_property
    def tokens(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where all words of their ``text.split()`` begin and end."""
        begins, ends = self.crowd.tokens
        blank = self.crowd.kinds & BLANK
        inside = self.begins[(self.begins > 0) & (self.ends > self.begins)]
        inside = inside[~(blank[inside] | blank[inside - 1]).astype(bool)]
        return (np.union1d(begins, inside), np.union1d(ends, inside)) if len(inside) else (begins, ends)

    @cached_property
    def token_hashes(self) -> NDArray[np.uint64]:
        """Of all `tokens`."""
        return self.crowd.hashes(*self.tokens)

    def numbers(self, lexicon: Lexicon) -> NDArray[np.int16]:
        """Which word of a lexicon each word is; the same lexicon is asked once."""
        if id(lexicon) not in self._numbers:
            self._numbers[id(lexicon)] = lexicon.find(self.token_hashes)
        return self._numbers[id(lexicon)]

    @cached_property
    def lines(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first word of each line that has one, and the last."""
        lines = self.crowd.line_numbers[self.tokens[0]]
        firsts = np.flatnonzero(np.append(True, lines[1:] != lines[:-1])[: len(lines)])
        return firsts, np.append(firsts[1:], len(lines))[: len(firsts)] - 1

    def token_sums(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """For each piece the sum of the `values` of its words."""
        sums = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
        return np.diff(sums[self.first_tokens])

    @cached_property
    def first_tokens(self) -> NDArray[np.int64]:
        """The first word of each, with the end as the last entry."""
        return np.searchsorted(self.tokens[0], np.append(self.begins, len(self.crowd.text)))

    @cached_property
    def word_counts(self) -> NDArray[np.int64]:
        """``len(text.split())`` of each."""
        return np.diff(self.first_tokens)

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """For each word of the crowd the piece in which it stands."""
        return np.repeat(np.arange(len(self.begins)), self.word_counts)

    @cached_property
    def kinds(self) -> NDArray[np.uint8]:
        """All kinds of characters that each piece has."""
        found = np.bitwise_or.reduceat(self.crowd.kinds, self.begins) if len(self.begins) else np.zeros(0, np.uint8)
        found[self.begins == self.ends] = 0
        return found

    def hashes(self) -> NDArray[np.uint64]:
        """64 bits of each text, blanks at its ends aside."""
        begins, ends = self.tokens
        found = np.zeros(len(self.begins), np.uint64)
        some = np.flatnonzero(self.word_counts)
        first, last = begins[self.first_tokens[some]], ends[self.first_tokens[some + 1] - 1]
        found[some] = self.crowd.hashes(first, last) + self.crowd.capitals(first)
        return found


class Lexicon:
    """A few words that are looked for among millions: each hash is a place in a table."""

    def __init__(self, words: Sequence[str]) -> None:
        crowd = Crowd(["\n".join(words)])
        hashes = crowd.hashes(*crowd.tokens)
        assert len(hashes) == len(words) < 2**15, "words have no blanks inside"
        self._keys = np.append(hashes, np.uint64(0))
        self._table = np.full(1 << _TABLE_BITS, len(words), np.int16)
        # Where two words share a place a search for one of them would fail: another factor spreads them differently.
        for factor in range(1, 2_000, 2):
            self._factor = np.uint64(factor)
            places = self._places(hashes)
            if len(np.unique(places)) == len(words):
                break
        else:
            raise ValueError(f"no place for each of {len(words)} words")
        self._table[places] = np.arange(len(words))

    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int16]:
        """The number of each word, or how many there are for one that is not among them."""
        found = self._table[self._places(hashes)]
        found[self._keys[found] != hashes] = len(self._keys) - 1
        return found

    def _places(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (hashes * self._factor >> np.uint64(64 - _TABLE_BITS)).astype(np.int64)


_TABLE_BITS = 18


@cache
def _characters() -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    # A random number for each code point, the same in every process, and its kinds.
    numbers = np.random.default_rng(_SEED).integers(0, 2**64, _CODES, np.uint64)
    letters = "".join(map(chr, range(_ASSIGNED)))
    marks = np.fromiter(map("Mn".__eq__, map(unicodedata.category, letters)), bool, _ASSIGNED)
    kinds = np.zeros(_CODES, np.uint8)
    kinds[:_ASSIGNED] = (_are(str.isalnum, letters) | marks) * IN_WORD
    kinds[:_ASSIGNED] |= _are(str.isspace, letters) * BLANK
    kinds[:_ASSIGNED] |= (_are(str.isalnum, letters) & ~_are(str.isdecimal, letters)) * LETTER
    kinds[0x620:0x700] |= ARABIC
    for kind, signs in ((IN_WORD, "\u200c"), (CODE, CODE_SIGNS), (END, "".join(LINE_ENDS)), (SIGN, "#…")):
        kinds[list(map(ord, signs))] |= kind
    for code in np.flatnonzero(_are(str.isupper, letters) | _are(str.istitle, letters)).tolist():
        small = chr(code).lower()
        if len(small) == 1 and small != chr(code):
            numbers[code] = numbers[ord(small)]
            kinds[code] |= CAPITAL
    return numbers, kinds


def _are(ask: Callable[[str], bool], letters: str) -> NDArray[np.bool_]:
    return np.fromiter(map(ask, letters), bool, len(letters))


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    known = _known_powers.get(base)
    if known is None or len(known) < count:
        known = np.full(max(count, 1 << 20), base, np.uint64)
        known[0] = 1
        _known_powers[base] = np.cumprod(known, out=known)
    return _known_powers[base][:count]


_known_powers: dict[int, NDArray[np.uint64]] = {}
