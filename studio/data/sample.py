"""The three things a dataset holds: a text, a Persian and English pair, or a chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "pair", "chat"]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Text:
    """A document."""

    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The same thing said in Persian and in English."""

    fa: str
    en: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation: perhaps a system message, then user and assistant in turn, ending with the assistant."""

    messages: tuple[Message, ...]


Sample = Text | Pair | Chat


def kind_of(sample: Sample) -> Kind:
    """The name of the sample's kind."""
    if isinstance(sample, Text):
        return "text"
    return "pair" if isinstance(sample, Pair) else "chat"


def strings(sample: Sample) -> tuple[str, ...]:
    """The written texts of a sample in reading order; roles are not text."""
    if isinstance(sample, Text):
        return (sample.text,)
    if isinstance(sample, Pair):
        return (sample.fa, sample.en)
    return tuple(message.content for message in sample.messages)
