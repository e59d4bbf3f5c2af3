"""Letters, digits and marks of Persian text, brought to the code points that Persian uses."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

LETTERS = (
    "\u0620-\u063f\u0641-\u064a\u066e\u066f\u0671-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06ff\u0750-\u077f\u08a0-\u08c7"
)
"""Letters of the Arabic script, as the inside of a character class; kashida, digits and marks are none."""
MARKS = "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff"
"""Vowel signs, hamza above and Quranic signs, as the inside of a character class."""
JOINER = "\u200c"
"""The half-space."""

_FOLDED = (
    ("ي", "ی"),
    ("ى", "ی"),
    ("ك", "ک"),
    *((chr(0x660 + value), chr(0x6F0 + value)) for value in range(10)),
)
_HEHS = (("ە", "ه"), ("ہ", "ه"), ("ھ", "ه"), ("ۂ", "ۀ"))
# Kurdish, Uyghur and Urdu spell with these letters: a text that has one keeps its own hehs, or its language is lost.
_NEIGHBOURS = re.compile("[ۆێڕڵۇۈۋېٹڈڑںے]")

_FORM_BLOCKS = re.compile("[\ufb50-\ufefc]")  # one range is looked for three times as fast as two
_FORM = re.compile("[\ufb50-\ufdcf\ufe70-\ufefc]+")  # without the words U+FDF0 to U+FDFC, such as ﷲ ﷺ ﷼
# A mark that stands alone is compatible with the mark on a space or kashida, which nobody typed.
_FORMS = {
    code: unicodedata.normalize("NFKC", chr(code)).replace(" ", "").replace("ـ", "")
    for code in (*range(0xFB50, 0xFDD0), *range(0xFE70, 0xFEFD))
    if unicodedata.normalize("NFKC", chr(code)) not in (chr(code), "ـ")
}
# NFC puts the marks of a letter in order and makes one letter of some with hamza or madda.
_MARKS = re.compile(f"[{MARKS}](?<=[{MARKS}].)")
_CLUSTER = re.compile(f"[{MARKS}]{{2,32}}")  # ordering takes the square of the length: nobody writes 32 on a letter
_HEAP = re.compile(f"[{MARKS}]{{33}}")
_PAIRS = tuple((unicodedata.normalize("NFD", letter), letter) for letter in "آأإؤئۀۂۓ")
_COMPOSING = "\u0653\u0654\u0655"
_FURTHER = re.compile(f"[{_COMPOSING}](?<=[{MARKS}].)")
# Arabic script with what commonly stands between; other combining characters stay as they are.
_COMPOSED = re.compile("[\x00-\x7f\xa0-\xbf\u0600-\u06ff\u0750-\u077f\u0870-\u08ff\u2008-\u206f]+")
# Hamza above and below spell consonants and the ezafe; the others only tell how to read.
_VOWELS = re.compile(f"(?:(?![\u0654\u0655])[{MARKS}])+")

_DIRECTION = "\u061c\u202a-\u202e\u2066-\u2069"
# Zero-width spaces, soft hyphens and single direction marks: between two Persian letters they were typed for a
# half-space. News, prose and tweets of 50 MB have 732 of them there; deleting would run words together.
_LIKE_JOINER = "\u00ad\u200b\u200e\u200f\u2060\ufeff"
_HIDDEN = "\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u00ac" + _LIKE_JOINER
_LATIN = "!-~\u00c0-\u02af"
# All three begin with a class of characters: beginning with a look back they took 3 ms/MB more.
_TURNS = re.compile(f"[{_DIRECTION}](?:(?<![{_LATIN}][{_DIRECTION}])[{_DIRECTION}]*+|[{_DIRECTION}]*+(?![{_LATIN}]))")
_JOINERS = f"[{JOINER}{_LIKE_JOINER}\u00ac]"  # poems and encyclopedia articles have «¬» there
_OTHER_JOINERS = f"[{_LIKE_JOINER}\u00ac]"
_WITHIN = re.compile(
    f"{_JOINERS}(?<=[{LETTERS}{MARKS}].)(?:(?<={_OTHER_JOINERS}){_JOINERS}*|{_JOINERS}*{_OTHER_JOINERS}{_JOINERS}*)"
    f"(?=[{LETTERS}])"
)
_STRAY = re.compile(
    f"[{_LIKE_JOINER}](?:(?<![{_LATIN}{_LIKE_JOINER}][{_LIKE_JOINER}])[{_LIKE_JOINER}]*+"
    f"|[{_LIKE_JOINER}]*+(?![{_LATIN}]))"
)

# A kashida lengthens a join. At the end of a word («کوویدـ۱۹», «هـ.ق») and after a letter that joins nothing it is a
# dash, and stays; so does one that carries a hamza, as in Quranic «شيـٔا».
_KASHIDA = re.compile(
    f"(?<=[{LETTERS}{MARKS}])(?<![اآأإدذرزژوؤۀةء])ـ+(?=[{LETTERS}{MARKS}])(?![{MARKS}]*[\u0654\u0655])"
)
_STRETCHED = re.compile(r"(.)\1\1\1+")  # any character: looking for letters alone takes 7 ms/MB, this 5
_LETTER = re.compile(f"[{LETTERS}]")
_LONG = 400
"""Characters from which a text is looked through faster as an array."""


def clear_hidden(text: str) -> str:
    """Drop byte order and direction marks and zero-width spaces; within a Persian word they become half-spaces.

    Between two Latin letters or ASCII signs they stay.
    """
    if not any(map(text.__contains__, _HIDDEN)):
        return text
    text = _TURNS.sub("", text)
    return _STRAY.sub("", _WITHIN.sub(JOINER, text))


def spell_out(text: str) -> str:
    """Presentation forms, as PDF files hold them, to letters."""
    if (len(text) >= _LONG and _codes(text).max() < 0xFB50) or _FORM_BLOCKS.search(text) is None:
        return text
    return _FORM.sub(lambda found: found[0].translate(_FORMS), text)


def compose(text: str) -> str:
    """Unicode's NFC for the Arabic script; Latin letters keep the form they have."""
    # Normalising a whole text with vowel signs costs 9 ms/MB, and most have only two of them in another order.
    ordered = _MARKS.search(text) is None
    if not ordered:
        text = _CLUSTER.sub(_nfc, text)
    if any(map(text.__contains__, _COMPOSING)):
        for pair, letter in _PAIRS:
            text = text.replace(pair, letter)
    if ordered or _FURTHER.search(text) is None or _HEAP.search(text) is not None:
        return text
    if unicodedata.is_normalized("NFC", text):
        return text
    return _COMPOSED.sub(_nfc, text)


def _nfc(found: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", found[0])


def fold_letters(text: str) -> str:
    """Arabic ye, kaf and digits, and the hehs of neighbouring languages, to the Persian ones."""
    # Exchanging one character at a time costs 0.1 ms/MB for each that is absent; one translate costs 32 ms/MB.
    for old, new in _FOLDED:
        text = text.replace(old, new)
    if any(old in text for old, _ in _HEHS) and _NEIGHBOURS.search(text) is None:
        for old, new in _HEHS:
            text = text.replace(old, new)
    return text


def drop_kashida(text: str) -> str:
    """Take out the strokes that only lengthen a word."""
    return _KASHIDA.sub("", text) if "ـ" in text else text


def strip_vowels(text: str) -> str:
    """Take out vowel and reading signs; hamza and ezafe stay."""
    return compose(_VOWELS.sub("", text))


def shorten_stretched(text: str) -> str:
    """«سلااااام» to «سلاام»: four or more of a letter to two."""
    if len(text) >= _LONG:
        codes = _codes(text)
        same = codes[1:] == codes[:-1]
        if not (same[2:] & same[1:-1] & same[:-2]).any():
            return text
    return _STRETCHED.sub(lambda found: found[1] * 2 if _LETTER.match(found[1]) else found[0], text)


def _codes(text: str) -> NDArray[numpy.uint32]:
    import numpy

    return numpy.frombuffer(text.encode("utf-32-le", "surrogatepass"), numpy.uint32)
