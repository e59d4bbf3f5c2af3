"""A conversation as a file: what was asked, how the answers were drawn, and what each model said, how fast."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio.chat.requests import Sampling
from studio.errors import StudioError
from studio.i18n import number, say
from studio.services.chat import Column


@dataclass(frozen=True, slots=True)
class Turn:
    """One question to all columns at once, with their last answers."""

    question: str
    system: str
    sampling: Sampling
    columns: tuple[Column, ...]


def as_json(turns: Sequence[Turn]) -> str:
    """The conversation for a program: ``{"models", "turns"}``, sampling and seed with every turn.

    Raises:
        StudioError: ``chat.nothing_to_export``.
    """
    _something(turns)
    models = list(dict.fromkeys(column.reference for turn in turns for column in turn.columns))
    told = {"models": models, "turns": [_turn(turn) for turn in turns]}
    return json.dumps(told, ensure_ascii=False, indent=2) + "\n"


def as_markdown(locale: str, turns: Sequence[Turn]) -> str:
    """The conversation for people: questions as headings, answers as quotations under the names of their models.

    Raises:
        StudioError: ``chat.nothing_to_export``.
    """
    _something(turns)
    pieces = []
    for place, turn in enumerate(turns, start=1):
        pieces += [f"## {say(locale, 'chat.file.turn', number=place)}", _quoted(turn.question)]
        if turn.system:
            pieces.append(f"{say(locale, 'chat.system')}: {turn.system}")
        pieces.append(f"{say(locale, 'chat.file.sampling')}: `{json.dumps(_sampling(turn.sampling))}`")
        for column in turn.columns:
            pieces += [f"### {column.reference}", *_answer_lines(locale, column)]
    return "\n\n".join([f"# {say(locale, 'chat.title')}", *pieces]) + "\n"


def _something(turns: Sequence[Turn]) -> None:
    if not turns:
        raise StudioError("chat.nothing_to_export")


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "system": turn.system,
        "question": turn.question,
        "sampling": _sampling(turn.sampling),
        "answers": [_answer(column) for column in turn.columns],
    }


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """What had an effect: a greedy answer has no temperature."""
    drawn = {"temperature", "top_p", "top_k"}
    return sampling.model_dump(exclude=drawn if sampling.greedy else None)


def _answer(column: Column) -> dict[str, Any]:
    told: dict[str, Any] = {"model": column.reference}
    if column.refused is not None:
        return {**told, "error": column.refused.code}
    told["messages"] = [message.model_dump() for message in column.messages]
    if (end := column.finished) is not None:
        told |= {"reason": end.reason, "tokens": end.tokens, "seconds": end.seconds}
        told |= {"tokens_per_second": end.tokens_per_second, "characters_per_second": end.characters_per_second}
    return told


def _answer_lines(locale: str, column: Column) -> list[str]:
    if column.refused is not None:
        return [f"`{column.refused.code}`"]
    last = column.messages[-1]
    lines = [_quoted(last.content)] if last.role == "assistant" else []
    if (end := column.finished) is not None:
        speeds = {
            "tokens_per_second": number(locale, end.tokens_per_second, 1),
            "characters_per_second": number(locale, end.characters_per_second, 1),
        }
        lines.append(say(locale, "chat.speed", tokens=end.tokens, **speeds))
    return lines


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines()) or ">"
