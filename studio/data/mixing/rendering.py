"""The form samples take in a mix: pairs become texts or chats beside such, and everything else stays what it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from studio.data.pairs import Direction, as_chats, as_texts
from studio.data.sample import Kind, Pair, Sample, strings
from studio.errors import StudioError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Count = Callable[[list[str]], Sequence[int]]
"""Maps texts to their numbers of tokens, special tokens left out."""

_NEAR_END = 0.7
"""A text is cut at the last line, else sentence, else word that ends in the last three tenths of what is kept."""


def counting(tokenizer: Tokenizer) -> Count:
    """Counts with `tokenizer`."""

    def count(texts: list[str]) -> list[int]:
        return [len(found) for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return count


def kind_of_mix(kinds: Collection[Kind], asked: Kind | None = None) -> Kind:
    """The kind of a mix of datasets of `kinds`: pairs follow the others and stay pairs among themselves.

    Args:
        kinds: What the datasets hold.
        asked: What the mix should hold, if the user says so.

    Raises:
        StudioError: ``mix.texts_with_chats`` or ``mix.cannot_become``.
    """
    others = set(kinds) - {"pair"}
    if len(others) > 1:
        raise StudioError("mix.texts_with_chats")
    natural: Kind = next(iter(others), "pair")
    if asked is not None and asked != natural:
        if natural != "pair":
            raise StudioError("mix.cannot_become", kind=natural, asked=asked)
        return asked
    return natural


def render(sample: Sample, kind: Kind, direction: Direction) -> Iterator[Sample]:
    """`sample` as a mix of `kind` holds it; a pair may give two."""
    if not isinstance(sample, Pair) or kind == "pair":
        yield sample
    elif kind == "text":
        yield from as_texts(sample, direction)
    else:
        yield from as_chats(sample, direction)


def written(sample: Sample) -> str:
    """The text whose tokens count; roles and the marks of a chat template are not part of it."""
    return "\n".join(strings(sample))


def cut(text: str, tokens: int, room: int, count: Count) -> tuple[str, str]:
    """`text` in two, the first of at most `room` of its `tokens` tokens; it ends where a line or a word does.

    The first is empty where nothing fits.
    """
    length = int(len(text) * room / tokens)
    while length > 0:
        place = _end(text[:length])
        if count([text[:place]])[0] <= room:
            return text[:place], text[place:]
        length = int(place * 0.9)
    return "", text


def _end(text: str) -> int:
    for ending in ("\n", ". ", " "):
        place = text.rfind(ending) + len(ending)
        if place > _NEAR_END * len(text):
            return place
    return len(text)
