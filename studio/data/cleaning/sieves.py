"""Rules asked of a whole crowd at once: which pieces one may drop at all, so that only those are looked at singly.

A sieve never lets a piece through that its rule would drop, and the rule has the last word on those that it holds
back, unless the sieve is exact. What is dropped is the same with and without them; cleaning takes half the time with
them, and by the preset for documents a quarter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from studio.data.cleaning.crowd import ARABIC, CODE, END, LETTER, SIGN, Lexicon, Spans
from studio.data.cleaning.pieces import STOP_WORDS, WORD_LENGTHS, boilerplate
from studio.data.cleaning.repetition import ALL, TOP
from studio.data.language import COMMON, DISTINCT, DOCUMENT, LEAST_WORDS, THRESHOLD, guess_many, has_persian_joint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Held = NDArray[np.bool_]

_CROWD_BITS = 18
_DOTS = re.compile(r"\.\.\.")
_FACTOR = np.uint64(0xFF51AFD7ED558CCD)
_COMMON, _DISTINCT, _STOP, _HINT = (np.uint8(1 << place) for place in range(4))


def empty(spans: Spans, _: float) -> Held:
    held: Held = spans.word_counts == 0
    return held


def few_words(spans: Spans, least: float) -> Held:
    held: Held = spans.word_counts < least
    return held


def code(spans: Spans, _: float) -> Held:
    held: Held = spans.kinds & CODE != 0
    return held


def phrases(spans: Spans, _: float) -> Held:
    found = np.zeros(len(spans.begins), bool)
    numbers, roles = _roles(spans)
    hits = np.flatnonzero(roles & _HINT)
    # «نظر» and «ادامه» stand in every fifth sentence: the other words of their phrases seldom do.
    for place, number in zip(spans.owners[hits].tolist(), numbers[hits].tolist(), strict=True):
        if not found[place]:
            text = spans.text(place)
            found[place] = any(all(word in text for word in others) for others in _others()[number])
    return found


def other_language(spans: Spans, threshold: float) -> Held:
    """All but those that the words, or the model's own numbers, say are Persian."""
    held = spans.word_counts > 0
    small = spans.ends - spans.begins <= DOCUMENT
    held &= ~(small & (spans.word_counts < LEAST_WORDS) & (spans.kinds & ARABIC != 0))
    if threshold <= THRESHOLD:
        held &= ~(small & _surely_persian(spans, held & small))
    asked = np.flatnonzero(held).tolist()
    for place, guess in zip(asked, guess_many([spans.text(place) for place in asked], threshold), strict=True):
        if guess is not None:
            spans.guesses[place] = guess
            held[place] = guess.persian < threshold
    return held | empty(spans, threshold)


def odd_words(spans: Spans, _: float) -> Held:
    means = spans.token_sums(spans.tokens[1] - spans.tokens[0]) / np.maximum(1, spans.word_counts)
    held: Held = (means < WORD_LENGTHS[0]) | (means > WORD_LENGTHS[1])
    return held


def symbols(spans: Spans, _: float) -> Held:
    held: Held = spans.kinds & SIGN != 0
    dots = np.array([found.start() for found in _DOTS.finditer(spans.crowd.text)], np.int64)
    held[np.searchsorted(spans.begins, dots, side="right") - 1] = True
    return held


def few_letters(spans: Spans, least: float) -> Held:
    begins, ends = spans.tokens
    before = np.concatenate(([0], np.cumsum(spans.crowd.kinds & LETTER != 0, dtype=np.int32)))
    held: Held = spans.token_sums(before[ends] > before[begins]) < least * spans.word_counts
    return held


def few_stop_words(spans: Spans, least: float) -> Held:
    return _different(spans, _STOP) < least


def open_lines(spans: Spans, least: float) -> Held:
    lasts = spans.lines[1]
    ended = spans.crowd.kinds[spans.tokens[1][lasts] - 1] & END != 0
    held: Held = _of_lines(spans, ended) < least * _of_lines(spans, np.ones(len(lasts), bool))
    return held


def many_lines(spans: Spans, most: float) -> Held:
    numbers = spans.crowd.line_numbers
    held: Held = numbers[spans.ends] - numbers[spans.begins] > most * spans.word_counts
    return held


def same_lines(spans: Spans, most: float) -> Held:
    firsts, lasts = spans.lines
    hashes = spans.crowd.hashes(spans.tokens[0][firsts], spans.tokens[1][lasts])
    owners = spans.owners[firsts]
    keys = _longer(hashes, owners.astype(np.uint64))
    again = len(owners) and np.bincount(
        owners[_later(keys, np.argsort(keys, kind="stable"))], minlength=len(spans.begins)
    )
    held: Held = again > most * np.bincount(owners, minlength=len(spans.begins))
    return held


def _of_lines(spans: Spans, values: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.bincount(spans.owners[spans.lines[0]], values, len(spans.begins)).astype(np.int64)


def repeats(spans: Spans, _: float) -> Held:
    """Those in which one group of two to four words, or all repeated groups of five to ten, could take too much."""
    held, groups = np.zeros(len(spans.begins), bool), spans.token_hashes
    lengths = np.concatenate(([0], np.cumsum(spans.tokens[1] - spans.tokens[0])))
    sizes = spans.ends - spans.begins
    # What is no group that comes twice is none with one word more.
    places = np.arange(len(groups))
    for size in range(2, max(ALL) + 1):
        groups = _longer(groups, spans.token_hashes[size - 1 :])
        places = places[: np.searchsorted(places, len(groups))]
        places = places[spans.owners[places] == spans.owners[places + size - 1]]
        keys = _longer(groups[places], spans.owners[places].astype(np.uint64))
        places, keys = places[(crowded := _crowded(keys))], keys[crowded]
        order = np.argsort(keys, kind="stable")
        counts = _runs(keys[order])
        if size in TOP:
            found = order[counts > 1]
            characters = lengths[places[found] + size] - lengths[places[found]] + size - 1
            owners = spans.owners[places[found]]
            held[owners[characters * counts[counts > 1] > TOP[size] * sizes[owners]]] = True
        else:
            taken = spans.token_sums(_covered(places[_later(keys, order)], size, np.diff(lengths)))
            held |= taken > ALL[size] * sizes
        places = np.sort(places[order[counts > 1]])
    return held


def _covered(places: NDArray[np.int64], size: int, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lengths of all words within the groups at `places`, 0 for the others."""
    edges = np.zeros(len(lengths) + 1, np.int64)
    np.add.at(edges, places, 1)
    np.add.at(edges, places + size, -1)
    return np.where(np.cumsum(edges[:-1]) > 0, lengths, 0)


def _crowded(keys: NDArray[np.uint64]) -> Held:
    """Those numbers that may come twice: all that do, and a few more."""
    places = (keys >> np.uint64(64 - _CROWD_BITS)).astype(np.int64)
    found: Held = np.bincount(places, minlength=1 << _CROWD_BITS)[places] > 1
    return found


def _later(keys: NDArray[np.uint64], order: NDArray[np.int64]) -> Held:
    """Those numbers that stood before; `order` puts equal ones side by side, the first first."""
    found = np.zeros(len(keys), bool)
    found[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return found


def _longer(groups: NDArray[np.uint64], further: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes of groups made longer by one word (or by the number of their document)."""
    mixed = groups[: len(further)] ^ (groups[: len(further)] >> np.uint64(29))
    mixed = mixed * _FACTOR + further
    return mixed * _FACTOR


def _runs(ordered: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each of ordered numbers how often it comes."""
    edges = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    counts = np.diff(edges, append=len(ordered))
    return np.repeat(counts, counts)


def _surely_persian(spans: Spans, asked: Held) -> Held:
    """As `language.is_surely_persian`, for those asked about."""
    common = _different(spans, _COMMON)
    found = asked & (common >= 2) & (common >= spans.word_counts / 8)
    distinct = np.zeros(len(found), bool)
    distinct[spans.owners[np.flatnonzero(_roles(spans)[1] & _DISTINCT)]] = True
    for place in np.flatnonzero(found & ~distinct).tolist():
        found[place] = has_persian_joint(spans.text(place))
    return found


def _different(spans: Spans, role: np.uint8) -> NDArray[np.int64]:
    """How many different words of a role each piece has."""
    numbers, roles = _roles(spans)
    hits = np.flatnonzero(roles & role)
    # The words of a role have neighbouring numbers: a table of all pieces by all of them is small.
    first, last = _lexicon().bounds[int(role)]
    width = last - first
    seen = np.zeros(len(spans.begins) * width, bool)
    seen[spans.owners[hits] * width + numbers[hits] - first] = True
    counts: NDArray[np.int64] = seen.reshape(-1, width).sum(axis=1)
    return counts


def _roles(spans: Spans) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    known = _lexicon()
    numbers = spans.numbers(known.lexicon)
    return numbers, known.roles[numbers]


@dataclass(frozen=True)
class _Known:
    """The words of all lists, what each is known for, and where the words of one list begin and end."""

    lexicon: Lexicon
    words: list[str]
    roles: NDArray[np.uint8]
    bounds: dict[int, tuple[int, int]]


@cache
def _lexicon() -> _Known:
    sets = ((COMMON, _COMMON), (DISTINCT, _DISTINCT), (STOP_WORDS, _STOP), (boilerplate().keys(), _HINT))
    roles = {word: sum(int(role) for words, role in sets if word in words) for words, _ in sets for word in words}
    words = sorted(roles, key=lambda word: (roles[word] & int(_STOP), roles[word] & int(_COMMON), word))
    bounds = {}
    for _, role in sets:
        places = [place for place, word in enumerate(words) if roles[word] & int(role)]
        bounds[int(role)] = (places[0], places[-1] + 1)
    return _Known(Lexicon(words), words, np.array([*(roles[word] for word in words), 0], np.uint8), bounds)


@cache
def _others() -> dict[int, tuple[tuple[str, ...], ...]]:
    """For the number of a phrase's word the other words of its phrases."""
    known = boilerplate()
    return {
        place: tuple(tuple(part for part in phrase.split(" ") if part != word) for phrase in known[word])
        for place, word in enumerate(_lexicon().words)
        if word in known
    }
