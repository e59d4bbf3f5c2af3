"""The target script: which characters a new piece must hold, so that every text without them stays as it was."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from studio.data.script import ARABIC_BLOCKS
from studio.errors import StudioError

JOINER = "\u200c"
"""The half-space. It counts as target on its own: GPT-2's splitting isolates it and then spends two byte tokens."""

_MARK = 0xFEFF  # a byte order mark: it stands in Arabic Presentation Forms-B and before any English file
_PAGE = 64  # characters that share every byte but the last in UTF-8
_PLANES = 0x20000  # scripts with letters beyond the second plane have no use for sub-words
_NO_SCRIPTS = ("common", "inherited", "unknown", "any", "zyyy", "zinh", "zzzz")


@dataclass(frozen=True, slots=True)
class Script:
    """A Unicode script as a learner sees it.

    `found` matches one character of the script or the half-space; `word` matches a whole string of its letters,
    marks and joiners, without digits and punctuation.
    """

    name: str
    characters: frozenset[str]
    found: re.Pattern[str]
    word: re.Pattern[str]

    def touches(self, text: str) -> bool:
        """Whether `text` holds a character of the script or a half-space."""
        return self.found.search(text) is not None

    def owns(self, piece: str) -> bool:
        """Whether a new piece may be made of `piece`: it holds a character of the script, or is the half-space."""
        return piece == JOINER or not self.characters.isdisjoint(piece)


@cache
def find_script(name: str = "arabic") -> Script:
    """The script called `name` in Unicode, such as ``arabic`` (Persian), ``Cyrillic`` or ``Devanagari``.

    Besides what Unicode files under the script, its own punctuation, digits and marks belong to it: those that Unicode
    names after it, and for Arabic whole blocks.

    Raises:
        StudioError: ``vocabulary.no_such_script``.
    """
    asked = name.strip().lower().replace(" ", "_")
    if not re.fullmatch(r"[a-z][a-z_]*", asked) or asked in _NO_SCRIPTS:
        raise StudioError("vocabulary.no_such_script", script=name)
    filed = _filed_under(asked)
    if not filed:
        raise StudioError("vocabulary.no_such_script", script=name)
    if asked in ("arabic", "arab"):
        inside = {code for first, last in ARABIC_BLOCKS for code in range(first, last + 1)}
    else:
        named = asked.replace("_", " ").upper()
        inside = {code for page in {code // _PAGE for code in filed} for code in _named(named, page)}
    codes = (filed | inside) - {_MARK, ord(JOINER)}
    letters = [code for code in codes if unicodedata.category(chr(code))[0] in "LM"]
    return Script(
        asked,
        frozenset(map(chr, codes)),
        re.compile(f"[{_ranges([*codes, ord(JOINER)])}]"),
        re.compile(f"[{_ranges(letters)}\u200c\u200d]+"),
    )


def _filed_under(script: str) -> set[int]:
    # Python knows no scripts; the regular expressions inside tokenizers do.
    from tokenizers import Regex, normalizers

    every = "".join(chr(code) for code in range(_PLANES) if not 0xD800 <= code < 0xE000)
    try:
        kept = normalizers.Replace(Regex(rf"[^\p{{{script}}}]+"), "").normalize_str(every)
    except Exception:  # tokenizers raises bare Exception for a pattern it cannot compile
        return set()
    return set(map(ord, kept))


def _named(script: str, page: int) -> Iterable[int]:
    codes = range(page * _PAGE, (page + 1) * _PAGE)
    return [code for code in codes if unicodedata.name(chr(code), "").startswith((f"{script} ", f"{script}-"))]


def _ranges(codes: Iterable[int]) -> str:
    """The inside of a character class."""
    found: list[list[int]] = []
    for code in sorted(codes):
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)
