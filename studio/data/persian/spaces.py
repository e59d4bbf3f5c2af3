"""Spaces and half-spaces of Persian text, tidied."""

from __future__ import annotations

import re

from studio.data.persian.letters import JOINER, LETTERS, MARKS
from studio.data.persian.protected import MASK

_SCRIPT = "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff«»"
_WORD = LETTERS + MARKS
_FIXED = "\u00a0\u2007\u202f"

# Expressions begin with a fixed character and look back from behind it: a search then costs about 1 ms/MB, against 12
# for one that begins by looking back.

# A half-space stays after a letter, digit or closing sign («۸۰‌ها», «API‌ها», «(فایل)‌ها») and before a letter or digit.
_AFTER = rf"\w{MARKS}\u200d{MASK})»\]"
_EDGE = re.compile(rf"{JOINER}(?:(?![\w{MASK}])|(?<![{_AFTER}]{JOINER}))(?!(?<=[!-~]{JOINER})[!-~])")
_FIXED_SPACE = re.compile(rf"[{_FIXED}](?:(?<=[\s{_SCRIPT}][{_FIXED}])|(?=[\s{_SCRIPT}]|\Z))")
# Two or three spaces are a slip; four and more are columns, or the gap between the halves of a verse.
_DOUBLED = re.compile(
    rf"   ?(?=[^\s|])(?:(?<=[^\s|]  )|(?<=[^\s|]   ))(?:(?<=[{_SCRIPT}]  )|(?<=[{_SCRIPT}]   )|(?=[{_SCRIPT}]))"
)
# Not before a full stop or colon after a digit: «۲ : ۳» is a ratio.
_BEFORE_STOP = re.compile(rf" ([،؛؟.!:])(?=\s|\Z)(?:(?<=[{_WORD}»] .)|(?<=[\u06f0-\u06f9)] [،؛؟]))")


def drop_edges(text: str) -> str:
    """Take out half-spaces that join nothing: repeated, beside spaces and punctuation, and at the ends."""
    if JOINER not in text:
        return text
    while JOINER * 2 in text:
        text = text.replace(JOINER * 2, JOINER)
    return _EDGE.sub("", text)


def tidy_spaces(text: str) -> str:
    """Doubled and fixed spaces beside Persian to one space, and none before a comma or full stop.

    Line ends, tabs, indentation, table bars and gaps of four spaces or more stay.
    """
    if any(map(text.__contains__, _FIXED)):
        text = _FIXED_SPACE.sub(" ", text)
    if "  " in text:
        text = _DOUBLED.sub(" ", text)
    return _BEFORE_STOP.sub(r"\1", text)
