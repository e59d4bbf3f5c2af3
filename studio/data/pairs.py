"""A Persian and English pair as training reads it: one text with both sides, or a chat that asks for a translation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from studio.data.sample import Chat, Message, Pair, Text

Direction = Literal["fa-en", "en-fa", "both"]
"""Which side comes first: ``fa-en`` reads the Persian and learns to write its English."""


def as_texts(pair: Pair, direction: Direction) -> Iterator[Text]:
    """`pair` as plain texts, the first side above the second, one for each way that `direction` names.

    The form of Llama-Persian's second alignment step (arXiv 2412.13375), which is ``fa-en``.
    """
    if direction in ("fa-en", "both"):
        yield Text(f"{pair.fa}\n{pair.en}")
    if direction in ("en-fa", "both"):
        yield Text(f"{pair.en}\n{pair.fa}")


def as_chats(pair: Pair, direction: Direction) -> Iterator[Chat]:
    """`pair` as chats that ask for a translation, one for each way that `direction` names."""
    if direction in ("fa-en", "both"):
        yield _chat(f"این متن را به انگلیسی ترجمه کن:\n\n{pair.fa}", pair.en)
    if direction in ("en-fa", "both"):
        yield _chat(f"Translate this text into Persian:\n\n{pair.en}", pair.fa)


def _chat(question: str, answer: str) -> Chat:
    return Chat((Message("user", question), Message("assistant", answer)))
