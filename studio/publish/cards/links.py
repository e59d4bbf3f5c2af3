"""A card as it goes to the Hub: programs name the repository, and the run's other exports are linked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import yaml

from studio.i18n import LOCALES, Locale, say
from studio.publish.cards.card import siblings_line
from studio.publish.cards.metadata import FRONT, front_matter
from studio.publish.record import Kind

_PROGRAM = re.compile(r"^```python\n.*?^```$", re.DOTALL | re.MULTILINE)
_PLACES: dict[Locale, str] = {"en": "[فارسی](#fa)\n", "fa": '<div dir="rtl" lang="fa">\n'}


def for_the_hub(text: str, kind: Kind, name: str, repository: str, siblings: Mapping[Kind, str]) -> str:
    """`text` with what only publishing knows; what a person has rewritten there is left alone.

    Args:
        text: The card, edited or not.
        kind: Of the export.
        name: The export's folder, which the programs of the card open.
        repository: ``owner/name`` that the export goes to.
        siblings: Repositories of the run's other exports, as far as they are published.

    Raises:
        StudioError: ``card.bad_metadata``.
    """
    own, there = (json.dumps(each, ensure_ascii=False) for each in (name, repository))
    text = _PROGRAM.sub(lambda found: found[0].replace(own, there), text)
    for locale in LOCALES:
        for library in ("transformers", "peft"):
            before, after = (say(locale, f"card.use.{library}{where}") for where in ("", "_hub"))
            text = text.replace(f"\n{before}\n", f"\n{after}\n")
        text = _linked(locale, text, siblings)
    merged = siblings.get("merged")
    return _quantised(text, merged) if kind == "gguf" and merged else text


def _linked(locale: Locale, text: str, siblings: Mapping[Kind, str]) -> str:
    start = re.escape(say(locale, "card.siblings", others="\0").partition("\0")[0])
    text = re.sub(rf"^{start}.*\n\n", "", text, flags=re.MULTILINE)
    if not siblings:
        return text
    place = _PLACES[locale]
    return text.replace(place, f"{place}\n{siblings_line(locale, siblings)}\n", 1)


def _quantised(text: str, merged: str) -> str:
    """The front matter of a GGUF export whose merged model has a repository."""
    front = front_matter(text) | {"base_model": merged, "base_model_relation": "quantized"}
    dumped = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=10_000)
    return FRONT.sub(lambda found: f"---\n{dumped}---\n", text, count=1)
