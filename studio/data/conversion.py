"""One row to one sample, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studio.data.mapping import Form, Mapping, Values, find_column, turns_of
from studio.data.sample import Chat, Message, Pair, Role, Sample, Text, strings

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer", "سیستم", "سامانه"), "system"),
    **dict.fromkeys(("user", "human", "prompter", "کاربر", "انسان", "پرسشگر"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai"), "assistant"),
    **dict.fromkeys(("دستیار", "ربات", "بات", "مدل", "هوش مصنوعی", "پاسخگو", "پاسخ گو"), "assistant"),
}
_TOOLS = frozenset(("tool", "tools", "function", "function_call", "function_response", "tool_call", "tool_response",
                    "observation", "ipython", "ابزار", "تابع"))  # fmt: skip
_SPELLINGS = str.maketrans("يك", "یک")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that gives no sample; `reason` is a key under ``data.reasons``.

    Reasons: ``missing_value``, ``not_a_string``, ``empty``, ``broken_characters``, ``not_a_list``, ``unknown_role``,
    ``bad_roles`` (out of turn), ``tool_turn``, ``empty_turn``, ``no_answer``.
    """

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A sample that was repaired or lost something on the way; `reasons` are keys under ``data.reasons``.

    Reasons: ``joined_turns`` (somebody spoke twice in a row), ``last_turn`` (a question without an answer at the end).
    """

    sample: Sample
    reasons: tuple[str, ...]


class _Unfit(Exception):
    """Carries the reason from where it is seen to `to_sample`."""


def to_sample(values: Values, mapping: Mapping, row: int) -> Sample | Trimmed | Dropped:
    """The sample of one row.

    Chats hold at most one system message, first; then user and assistant take turns, and the assistant has the last
    word. A system message that is blank is left out. Turns of one speaker in a row become one, a blank line between
    them, and a turn of the user after the last answer is cut, so that an open question at the end does not cost the
    whole conversation (`Trimmed`); a chat without any answer, or one in which tools are used, is dropped.

    Args:
        values: The row.
        mapping: A mapping that passed `check_mapping`.
        row: Number of the row, for `Dropped`.
    """
    try:
        found = _FORMS[mapping.form](mapping.columns, values)
        said = "".join(strings(found.sample if isinstance(found, Trimmed) else found))
        # Half of a surrogate pair can stand in a JSON escape, but no file and no tokenizer takes it.
        said.encode()
    except _Unfit as unfit:
        return Dropped(row, str(unfit))
    except UnicodeEncodeError:
        return Dropped(row, "broken_characters")
    # A NUL ends the text in many programs: what a crash left in a file, or one text hidden behind another.
    return Dropped(row, "broken_characters") if "\0" in said else found


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
    told = [_message(turn, role, content) for turn in turns]
    answered = max((place for place, message in enumerate(told, 1) if message.role == "assistant"), default=0)
    if answered == 0:
        raise _Unfit("no_answer" if any(message.role == "user" for message in told) else "empty")
    messages = _join(told[:answered])
    repairs = ("joined_turns",) * (len(messages) < answered) + ("last_turn",) * (answered < len(told))
    system = _system(columns, values)
    if messages[0].role == "system":
        first = messages.pop(0)
        system = [first] if first.content.strip() else system
    for place, message in enumerate(messages):
        if message.role != ("user", "assistant")[place % 2]:
            raise _Unfit("bad_roles")
        if not message.content.strip():
            raise _Unfit("empty_turn")
    if any(message.role == "system" for message in told[answered:]):
        raise _Unfit("bad_roles")
    chat = Chat((*system, *messages))
    return Trimmed(chat, repairs) if repairs else chat


def _join(messages: list[Message]) -> list[Message]:
    """Turns of one speaker in a row as one; those that are blank add nothing."""
    joined: list[Message] = []
    for message in messages:
        if not joined or joined[-1].role != message.role:
            joined.append(message)
        else:
            said = [text for text in (joined[-1].content, message.content) if text.strip()]
            joined[-1] = Message(message.role, "\n\n".join(said))
    return joined


def _message(turn: Any, role: str, content: str) -> Message:
    if not isinstance(turn, dict):
        raise _Unfit("not_a_list")
    speaker = turn.get(role)
    name = _plain(speaker) if isinstance(speaker, str) else ""
    if name in _TOOLS or turn.get("tool_calls") or turn.get("function_call"):
        raise _Unfit("tool_turn")
    known = _ROLES.get(name)
    if known is None:
        raise _Unfit("unknown_role")
    said = turn.get(content)
    if isinstance(said, list):
        said = _parts(said)
    if said is None:
        raise _Unfit("missing_value")
    if not isinstance(said, str):
        raise _Unfit("not_a_string")
    return Message(known, said)


def _plain(speaker: str) -> str:
    return " ".join(speaker.lower().translate(_SPELLINGS).replace("\u200c", " ").split())


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
