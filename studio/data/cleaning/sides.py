"""What rules look at in a pair: whether its two sides can be translations of each other, and their languages."""

from __future__ import annotations

import re
from collections import Counter

from studio.data.cleaning.pieces import Piece
from studio.data.language import LEAST_WORDS, guess, guess_quickly

RATIO = 3.0
"""Characters of the longer side for one of the shorter, from which a pair is dropped.

Of real pairs (interfaces, manuals, Quran translations, Tatoeba, TICO-19; 40,000) it drops none to 0.65%, 2.5 none to
1.4% and 2 up to 3.2%; of the same sides paired at random, 5% (short sentences all alike) to 44%.
"""

PERSIAN = 0.5
"""P(Persian) of a Persian side. Sides are short and hold names and placeholders: of real pairs 0.7 would drop 0.07% to
1.6% of a set, 0.5 drops 0.03% to 0.9%; other languages are near 0."""

# Words of English that no other language of Latin letters has as its own common ones.
_ENGLISH_WORDS = """
    the of and to that it for with they this have from had by but what were your when how which their if will there
    not has about you my our be are can should would been any all into than then these those only its
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_NUMBER = re.compile(r"\d+(?:[.,٫٬/]\d+)*")
_SEPARATORS = str.maketrans("", "", ".,٫٬/")


def has_empty_side(piece: Piece, _: float) -> bool:
    """Nothing is said on one side."""
    persian, english = _sides(piece)
    return not persian.strip() or not english.strip()


def has_same_sides(piece: Piece, _: float) -> bool:
    """Both sides are one text, capitals aside: nothing was translated."""
    persian, english = _sides(piece)
    return persian.strip().casefold() == english.strip().casefold()


def has_odd_lengths(piece: Piece, most: float) -> bool:
    """One side has more than `most` times the characters of the other."""
    shorter, longer = sorted(len(text.strip()) for text in _sides(piece))
    return longer > most * shorter


def is_not_persian(piece: Piece, threshold: float) -> bool:
    """P(Persian) of the Persian side is below `threshold`; a few words in Arabic script are taken for Persian."""
    persian = _sides(piece)[0]
    piece.guess = guess_quickly(persian, persian.split(), threshold)
    return piece.guess.persian < threshold


def is_not_english(piece: Piece, _: float) -> bool:
    """The English side is in other letters, or sentences in another language; of a few words nobody can tell."""
    english = _sides(piece)[1]
    if not english.isascii():
        letters = [letter for letter in english if letter.isalpha()]
        if sum(map(str.isascii, letters)) < 0.5 * len(letters):
            return True
    words = english.lower().split()
    # Asked alone, the model takes 0.03% to 0.7% of real English sides for another language; with these words first,
    # none to 0.67%.
    if len(words) < LEAST_WORDS or len(_ENGLISH.intersection(words)) >= max(2, len(words) / 8):
        return False
    return guess(english.lower()).taken_for != "en"


def has_other_numbers(piece: Piece, _: float) -> bool:
    """The sides do not name the same numbers in digits, Persian or Latin; «three» for ۳ counts as another."""
    persian, english = (Counter(map(_plain_number, _NUMBER.findall(text))) for text in _sides(piece))
    return persian != english


def _plain_number(number: str) -> str:
    # int() reads Persian digits too; what separates thousands in one language separates decimals in the other.
    return "".join(str(int(digit)) for digit in number.translate(_SEPARATORS)).lstrip("0")


def _sides(piece: Piece) -> tuple[str, str]:
    (_, persian), (_, english) = piece.turns
    return persian, english
