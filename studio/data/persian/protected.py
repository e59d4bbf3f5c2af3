"""Protected spans: the parts of a text that no repair may enter, such as code, addresses and tags."""

from __future__ import annotations

import re

from studio.data.persian.letters import MARKS

MASK = "\uffff"
"""Stands for one protected span while a text is repaired. It is a noncharacter; one in the text protects itself."""

# Names and tags reach over what a repair may take out or spell out; they would otherwise be longer the second time.
_NAME = rf"\w.\-{MARKS}\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufb50-\ufdff\ufe70-\ufeff"
_ENDED = r"""(?:</(?P=kept)\s*>|\Z)"""
# Every alternative begins with a fixed character: the search then costs 2 ms/MB. What is never closed
# reaches to the end, so that no opening is searched twice. Parts in ASCII alone, such as the name before an @, need
# no protection: no repair changes them.
_SPAN = re.compile(
    rf"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|``[^\n]+?``|`[^`\n]+`"  # fenced and inline code
    rf"|<(?i:(?P<kept>code|pre|script|style)\b)[^<>]*+>.*?{_ENDED}"  # elements that hold code
    r"|<[A-Za-z/!?][^<>]*+>"  # any other tag
    r"""|://[^\s<>"«»]+|www\.[^\s<>"«»]+"""  # addresses: a Persian path must stay as it is
    rf"|[@#][{_NAME}]+|{MASK}",  # domains of e-mail, names, hashtags
    re.DOTALL,
)
_SIGNS = ("`", "://", "@", "#", "<", "www.", "~~~", MASK)


def protect(text: str) -> tuple[str, list[str]]:
    """`text` with each protected span exchanged for `MASK`, and the spans in order."""
    if not any(sign in text for sign in _SIGNS):
        return text, []
    spans: list[str] = []

    def keep(found: re.Match[str]) -> str:
        spans.append(found[0])
        return MASK

    return _SPAN.sub(keep, text), spans


def restore(masked: str, spans: list[str]) -> str:
    """The way back from `protect`.

    Raises:
        ValueError: If a repair lost or made a mask.
    """
    if not spans:
        return masked
    pieces = masked.split(MASK)
    if len(pieces) != len(spans) + 1:
        raise ValueError(f"{len(spans)} protected spans, but {len(pieces) - 1} masks")
    return "".join(part for pair in zip(pieces, [*spans, ""], strict=True) for part in pair)
