"""What the chat pages show beside the answers: names, speeds, flags, who is waited for, what is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.chat.requests import Message
from studio.evaluation.flags import Flag
from studio.i18n import bytes_text, number, say
from studio.services import chat, jobs
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.parts import Markup

History = list[dict[str, Any]]


def memory_view(locale: str, studio: Studio) -> Markup:
    """What the chat process holds now."""
    status = chat.status(studio)
    if status is None or not status.sides:
        return parts.paragraph(say(locale, "chat.not_loaded"), soft=True)
    memory = bytes_text(locale, status.memory)
    key = "chat.loaded_four_bits" if status.quantisation == "nf4" else "chat.loaded"
    return parts.paragraph(say(locale, key, memory=memory, device=status.device or ""), soft=True)


def title(reference: str) -> str:
    """What a column is called: a run by id, stage and step, a folder by its name, another base by its reference."""
    if reference.startswith("local:"):
        return reference.rpartition("/")[2]
    return reference.removeprefix("run:")


def shown_history(column: chat.Column) -> History:
    """The conversation as the chat component takes it; a system message is not a turn."""
    return [
        {"role": message.role, "content": message.content} for message in column.messages if message.role != "system"
    ]


def past(history: History | None) -> tuple[Message, ...]:
    """The conversation that a chat component shows, as the engine takes it."""
    messages = []
    for turn in history or []:
        content = turn["content"]
        # Gradio gives text back as a list of parts.
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        messages.append(Message(role=turn["role"], content=text))
    return tuple(messages)


def foot(locale: str, column: chat.Column) -> Markup:
    """Below an answer: what stands out about it and its speed, or why there is none."""
    if column.refused is not None:
        return parts.error_banner(locale, column.refused)
    lines = [] if column.has_template else [say(locale, "chat.no_template")]
    if column.finished is not None and not column.finished.text.strip():
        lines.append(say(locale, "chat.said_nothing"))
    if column.finished is not None:
        lines.append(
            say(
                locale,
                "chat.speed",
                tokens=column.finished.tokens,
                tokens_per_second=number(locale, column.finished.tokens_per_second, 1),
                characters_per_second=number(locale, column.finished.characters_per_second, 1),
            )
        )
    said = parts.paragraph(" · ".join(lines), soft=True) if lines else Markup("")
    return parts.join([flags_view(locale, column.flags), said])


def flags_view(locale: str, found: Sequence[Flag]) -> Markup:
    """Flags as a row of marks, nothing without one."""
    marks = "".join(
        f'<li title="{parts.escape(flag_info(locale, flag))}">{_mark(locale, flag)}</li>' for flag in found
    )
    direction = "rtl" if locale == "fa" else "ltr"  # of the page: they may stand below an answer in another language
    return Markup(f'<ul class="flags" dir="{direction}">{marks}</ul>') if marks else Markup("")


def flag_text(locale: str, flag: Flag) -> str:
    """A flag as a short phrase, without its examples."""
    return say(locale, f"chat.flag.{flag.kind}", value=_value(locale, flag))


def flag_info(locale: str, flag: Flag) -> str:
    """How a flag is measured."""
    return say(locale, f"chat.flag.{flag.kind}_info")


def notice(locale: str, board: chat.Board) -> Markup:
    """Who is waited for, or how far the model has come into memory."""
    if board.waiting is not None:
        told = []
        if board.waiting.holder:
            told.append(say(locale, "jobs.waits_for", title=jobs.title_text(locale, board.waiting.holder)))
        if board.waiting.position:
            told.append(say(locale, "chat.waits_people", position=board.waiting.position))
        return parts.paragraph(" · ".join(told), soft=True)
    if board.loading is not None:
        return parts.progress_bar(board.loading.share, say(locale, board.loading.note), locale=locale)
    return Markup("")


def _mark(locale: str, flag: Flag) -> Markup:
    examples = parts.join(Markup(f"<bdi>«{parts.escape(example)}»</bdi> ") for example in flag.examples)
    return Markup(f'<span aria-hidden="true">⚑</span> {parts.escape(flag_text(locale, flag))} {examples}')


def _value(locale: str, flag: Flag) -> str:
    if flag.kind == "half_spaces":
        return number(locale, flag.value)
    return say(locale, "progress.percent", percent=number(locale, round(100 * flag.value)))
