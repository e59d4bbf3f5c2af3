"""Markdown that shows any name as it is: nothing in it becomes HTML, a link, a cell or another heading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from studio.i18n import Locale, say, visible

_SPECIAL = re.compile(r"([\\`*\[\]{}#!~]|(?<!\w)_|_(?!\w))")  # an underscore within a word is one


def plain(text: str) -> str:
    """`text` from outside as words of a paragraph or cell."""
    one_line = " ".join(visible(text).split())
    shown = _SPECIAL.sub(r"\\\1", one_line.replace("&", "&amp;"))
    return shown.replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")


def code(text: str) -> str:
    """`text` as inline code, whatever backticks it holds."""
    shown = " ".join(visible(text).split()).replace("|", "/")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(language: str, text: str) -> str:
    """`text` as a block of code, whatever backticks it holds."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def listed(locale: Locale, items: Iterable[str]) -> str:
    """Items with the language's own comma."""
    return ("، " if locale == "fa" else ", ").join(items)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def heading(locale: Locale, key: str) -> str:
    """A heading of a language's part."""
    return f"## {say(locale, key)}"


def both(key: str) -> str:
    """A heading of a part that is of no language."""
    return f"## {say('en', key)} · {say('fa', key)}"
