"""What a licence of texts asks for, by the ids that the Hub uses; no legal advice, a reminder to read it."""

from __future__ import annotations

import re
from typing import Literal, get_args

Trait = Literal["unknown", "own_terms", "non_commercial", "no_derivatives", "share_alike"]
TRAITS: tuple[Trait, ...] = get_args(Trait)

# Licences with terms of their own: models' texts inherit them, and no rule of thumb covers them.
_OWN_TERMS = re.compile(r"gemma|llama|openrail|bigscience|creativeml|deepfloyd|apple-|other$")
_SHARE_ALIKE = re.compile(r"cc-.*\bsa\b|a?gpl|lgpl|gfdl|odbl|cdla-sharing|mpl")
_OPEN = re.compile(
    r"cc-?0|cc-by|cc-pddc|apache|mit\b|bsd|isc\b|odc-by|pddl|cdla-permissive|c-uda|unlicense|wtfpl|zlib|afl|ecl|artistic|"
    r"public-?domain"
)


def traits(licence: str | None) -> tuple[Trait, ...]:
    """What to know of `licence` before training or publishing, in the order of `TRAITS`; empty for an open one.

    Several licences, separated by commas, count together: nobody can tell which text is under which. A licence that is
    not known here is ``unknown``, as is one that nobody states.
    """
    found = {trait for each in re.split(r"[,;]", licence or "") for trait in _traits(each)}
    return tuple(trait for trait in TRAITS if trait in found)


def _traits(licence: str) -> set[Trait]:
    plain = re.sub(r"[\s_]+", "-", licence.strip().lower())
    words = set(plain.split("-"))
    if _OWN_TERMS.match(plain):
        return {"own_terms"}
    found = set[Trait]()
    if words & {"nc", "noncommercial"}:
        found.add("non_commercial")
    if words & {"nd", "noderivatives"}:
        found.add("no_derivatives")
    if _SHARE_ALIKE.match(plain):
        found.add("share_alike")
    return found if found or _OPEN.match(plain) else {"unknown"}
