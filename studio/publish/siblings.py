"""Merged model, adapter and GGUF files of one run lie in repositories of their own, and each card names the others.

The links are written into the copy of the card that is uploaded, between two marks; the card in the export's folder
stays as its owner left it, since only at upload it is known what else there is and who may see it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from studio.i18n import LOCALES, say
from studio.settings import hub_endpoint

START, END = "<!-- siblings -->", "<!-- /siblings -->"
KINDS = ("merged", "adapter", "gguf")

_PART = re.compile(rf"{re.escape(START)}(?:.*?{re.escape(END)})?", re.DOTALL)


def with_siblings(card: str, siblings: Mapping[str, str]) -> str:
    """`card` with links to `siblings`, kind to repository, between the marks; at its end if it has none.

    The marks are there even without any sibling: by them an upload knows a repository that this studio filled.
    """
    part = f"{START}\n{_section(siblings)}{END}"
    if _PART.search(card):
        return _PART.sub(lambda _: part, card, count=1)
    return f"{card.rstrip()}\n\n{part}\n"


def is_ours(card: str) -> bool:
    """Whether this studio wrote the card of a repository."""
    return START in card


def with_address(card: str, folder: str, repo: str) -> str:
    """`card` whose program loads `repo` from the Hub instead of `folder` from the disk."""
    return card.replace(f"folder = {json.dumps(folder, ensure_ascii=False)}", f"folder = {json.dumps(repo)}")


def _section(siblings: Mapping[str, str]) -> str:
    if not siblings:
        return ""
    kinds = [kind for kind in KINDS if kind in siblings]
    lines = [
        f"- {' · '.join(say(locale, f'card.siblings.{kind}') for locale in LOCALES)}: "
        f"[{siblings[kind]}]({hub_endpoint()}/{siblings[kind]})"
        for kind in kinds
    ]
    heading = " · ".join(say(locale, "card.siblings.heading") for locale in ("en", "fa"))
    return f"## {heading}\n\n" + "\n".join(lines) + "\n"
