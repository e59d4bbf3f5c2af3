"""One row to one sample, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studio.data.mapping import Form, Mapping, Values, find_column, turns_of
from studio.data.sample import Chat, Message, Pair, Role, Sample, Text, strings

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "ai": "assistant",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that gives no sample; `reason` is a key under ``data.reasons``.

    Reasons: ``missing_value``, ``not_a_string``, ``empty``, ``broken_characters``, ``not_a_list``, ``bad_roles``,
    ``empty_turn``, ``no_answer``.
    """

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A sample that lost something on the way; `reason` is ``last_turn`` (a question without an answer at the end)."""

    sample: Sample
    reason: str


class _Unfit(Exception):
    """Carries the reason from where it is seen to `to_sample`."""


def to_sample(values: Values, mapping: Mapping, row: int) -> Sample | Trimmed | Dropped:
    """The sample of one row.

    Chats hold at most one system message, first; then user and assistant take turns, and the assistant has the last
    word. A system message that is blank is left out. Turns of the user after the last answer are cut (`Trimmed`), so
    that an open question at the end does not cost the whole conversation; a chat without any answer is dropped.

    Args:
        values: The row.
        mapping: A mapping that passed `check_mapping`.
        row: Number of the row, for `Dropped`.
    """
    try:
        found = _FORMS[mapping.form](mapping.columns, values)
        # Half of a surrogate pair can stand in a JSON escape, but no file and no tokenizer takes it.
        "".join(strings(found.sample if isinstance(found, Trimmed) else found)).encode()
    except _Unfit as unfit:
        return Dropped(row, str(unfit))
    except UnicodeEncodeError:
        return Dropped(row, "broken_characters")
    return found


def _text(columns: dict[str, str], values: Values) -> Sample:
    return Text(_string(values.get(columns["text"])))


def _pair(columns: dict[str, str], values: Values) -> Sample:
    return Pair(_string(values.get(columns["fa"])), _string(values.get(columns["en"])))


def _translation(columns: dict[str, str], values: Values) -> Sample:
    both = values.get(columns["translation"])
    if not isinstance(both, dict):
        raise _Unfit("missing_value" if both is None else "not_a_list")
    return Pair(*(_string(both.get(find_column(language, both) or language)) for language in ("fa", "en")))


def _prompt_response(columns: dict[str, str], values: Values) -> Sample:
    prompt, response = _string(values.get(columns["prompt"])), _string(values.get(columns["response"]))
    return Chat((*_system(columns, values), Message("user", prompt), Message("assistant", response)))


def _alpaca(columns: dict[str, str], values: Values) -> Sample:
    prompt = _string(values.get(columns["instruction"]))
    more = _optional(columns, values, "input")
    prompt = f"{prompt}\n\n{more}" if more else prompt
    response = _string(values.get(columns["output"]))
    return Chat((*_system(columns, values), Message("user", prompt), Message("assistant", response)))


def _messages(columns: dict[str, str], values: Values) -> Sample | Trimmed:
    return _chat(columns, values, values.get(columns["messages"]), "role", "content")


def _sharegpt(columns: dict[str, str], values: Values) -> Sample | Trimmed:
    return _chat(columns, values, values.get(columns["conversations"]), "from", "value")


_FORMS: dict[Form, Callable[[dict[str, str], Values], Sample | Trimmed]] = {
    "text": _text,
    "pair": _pair,
    "translation": _translation,
    "prompt_response": _prompt_response,
    "alpaca": _alpaca,
    "messages": _messages,
    "sharegpt": _sharegpt,
}


def _chat(columns: dict[str, str], values: Values, value: Any, role: str, content: str) -> Sample | Trimmed:
    if value is None:
        raise _Unfit("missing_value")
    turns = turns_of(value)
    if turns is None:
        raise _Unfit("not_a_list")
    messages = [_message(turn, role, content) for turn in turns]
    if messages and messages[0].role == "system" and not messages[0].content.strip():
        del messages[0]
    system = _system(columns, values)
    if messages and messages[0].role == "system":
        system, messages = messages[:1], messages[1:]
    if not messages:
        raise _Unfit("empty")
    # Users may have written twice at the end; what counts is where the last answer stands.
    answered = max((place for place, message in enumerate(messages, 1) if message.role == "assistant"), default=0)
    if any(message.role == "system" for message in messages):
        raise _Unfit("bad_roles")
    if answered == 0:
        raise _Unfit("no_answer")
    kept = messages[:answered]
    for place, message in enumerate(kept):
        if message.role != ("user", "assistant")[place % 2]:
            raise _Unfit("bad_roles")
        if not message.content.strip():
            raise _Unfit("empty_turn")
    chat = Chat((*system, *kept))
    return chat if answered == len(messages) else Trimmed(chat, "last_turn")


def _message(turn: Any, role: str, content: str) -> Message:
    if not isinstance(turn, dict):
        raise _Unfit("not_a_list")
    speaker = turn.get(role)
    known = _ROLES.get(speaker.lower()) if isinstance(speaker, str) else None
    if known is None:
        raise _Unfit("bad_roles")
    said = turn.get(content)
    if isinstance(said, list):
        said = _parts(said)
    if said is None:
        raise _Unfit("missing_value")
    if not isinstance(said, str):
        raise _Unfit("not_a_string")
    return Message(known, said)


def _parts(parts: list[Any]) -> str:
    # The newer form of a message: [{"type": "text", "text": …}, …]; pictures and sound cannot be learnt here.
    texts = [
        part.get("text") if isinstance(part, dict) and part.get("type", "text") == "text" else None for part in parts
    ]
    if any(not isinstance(text, str) for text in texts):
        raise _Unfit("not_a_string")
    return "".join(str(text) for text in texts)


def _system(columns: dict[str, str], values: Values) -> list[Message]:
    text = _optional(columns, values, "system")
    return [Message("system", text)] if text else []


def _optional(columns: dict[str, str], values: Values, part: str) -> str:
    value = values.get(columns[part]) if part in columns else None
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Unfit("not_a_string")
    return value if value.strip() else ""


def _string(value: Any) -> str:
    if value is None:
        raise _Unfit("missing_value")
    if not isinstance(value, str):
        raise _Unfit("not_a_string")
    if not value.strip():
        raise _Unfit("empty")
    return value
