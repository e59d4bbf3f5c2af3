"""Which columns of a file become samples: guessed from names and from content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from studio.data.conversion import Dropped, Trimmed, to_sample
from studio.data.mapping import (
    FORMS,
    Form,
    Mapping,
    Values,
    check_mapping,
    find_column,
    make_mapping,
    plain_name,
    turns_of,
)
from studio.data.script import count_letters
from studio.errors import StudioError

__all__ = [
    "FORMS",
    "Dropped",
    "Form",
    "Mapping",
    "Trimmed",
    "check_mapping",
    "guess",
    "make_mapping",
    "to_sample",
]

_PERSIAN, _LATIN = 0.5, 0.2


def guess(columns: Sequence[str], rows: Iterable[Values]) -> Mapping:
    """The most likely mapping: lists of turns, else named parts that hold text, else scripts, else the longest text.

    Args:
        columns: Names of the columns.
        rows: The first rows.

    Raises:
        StudioError: ``data.no_text_column`` if no column holds text.
    """
    seen = list(rows)
    found = _turns(columns, seen) or _translation(columns, seen)
    if found:
        return found
    texts = {column: share for column in columns if (share := _text_share(column, seen)) is not None}
    if not texts:
        raise StudioError("data.no_text_column", columns=", ".join(columns[:30]))
    named = _named_pair(texts) or _instruction(columns, texts, seen)
    return named or _opposite_scripts(texts, seen) or _text(texts, seen)


def _turns(columns: Sequence[str], rows: list[Values]) -> Mapping | None:
    for column in columns:
        for values in rows:
            turns = turns_of(values.get(column))
            if not turns or not isinstance(turns[0], dict):
                continue
            texts = {name: name for part in ("system",) if (name := find_column(part, columns)) and name != column}
            system = {"system": next(iter(texts))} if texts else {}
            if "role" in turns[0] and "content" in turns[0]:
                return make_mapping("messages", messages=column, **system)
            if "from" in turns[0] and "value" in turns[0]:
                return make_mapping("sharegpt", conversations=column, **system)
    return None


def _translation(columns: Sequence[str], rows: list[Values]) -> Mapping | None:
    for column in columns:
        first = next((value for values in rows if isinstance(value := values.get(column), dict)), None)
        if first and find_column("fa", first) and find_column("en", first):
            return make_mapping("translation", translation=column)
    return None


def _named_pair(texts: dict[str, float]) -> Mapping | None:
    first, second = find_column("fa", texts), find_column("en", texts)
    if not first or not second:
        return None
    # The content has the last word: exchanged headings are corrected, two columns in one script are no pair.
    if texts[first] >= _PERSIAN and texts[second] <= _LATIN:
        return make_mapping("pair", fa=first, en=second)
    if texts[second] >= _PERSIAN and texts[first] <= _LATIN:
        return make_mapping("pair", fa=second, en=first)
    return None


def _instruction(columns: Sequence[str], texts: dict[str, float], rows: list[Values]) -> Mapping | None:
    response = find_column("response", texts)
    system = {"system": column} if (column := find_column("system", texts)) else {}
    # In Alpaca files `input` is often empty in every row, so it need not hold text.
    written = [column for column in columns if all(isinstance(row.get(column), str | None) for row in rows)]
    names = {plain_name(column): column for column in written}
    if response and "instruction" in names and "input" in names:
        parts = {"instruction": names["instruction"], "input": names["input"], "output": response}
        return make_mapping("alpaca", **parts, **system)
    prompt = find_column("prompt", texts)
    return make_mapping("prompt_response", prompt=prompt, response=response, **system) if prompt and response else None


def _opposite_scripts(texts: dict[str, float], rows: list[Values]) -> Mapping | None:
    persian = [column for column, share in texts.items() if share >= _PERSIAN]
    latin = [column for column, share in texts.items() if share <= _LATIN]
    if len(persian) != 1 or len(latin) != 1 or find_column("text", texts):
        return None
    # Beside a Persian review an English id or label is no translation: translations are about as long.
    ratio = _length(latin[0], rows) / max(1, _length(persian[0], rows))
    return make_mapping("pair", fa=persian[0], en=latin[0]) if 0.3 < ratio < 3.5 else None


def _text(texts: dict[str, float], rows: list[Values]) -> Mapping:
    return make_mapping(
        "text", text=find_column("text", texts) or max(texts, key=lambda column: _length(column, rows))
    )


def _length(column: str, rows: list[Values]) -> int:
    return sum(len(value) for values in rows if isinstance(value := values.get(column), str))


def _text_share(column: str, rows: list[Values]) -> float | None:
    """Share of Arabic script in a column; None if the column holds no text."""
    values = [value for row in rows if (value := row.get(column)) is not None]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < 0.5 * len(values):
        return None
    letters = count_letters(texts)
    return letters.share if letters.total else None
