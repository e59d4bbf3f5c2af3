"""Columns that answer one prompt: what the owner's and the visitors' chats have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from studio.chat.requests import Message
from studio.errors import StudioError
from studio.i18n import say
from studio.services.chat import Board
from studio.ui.chat_views import foot, notice, past, shown_history
from studio.ui.handlers import guarded
from studio.ui.widgets import html_block

NAMES = ("base", "adapted", "third", "fourth")
"""What tests and styles call the columns in their order: ``side-base``, ``foot-base``."""

# A single dollar stays a dollar: prices are commoner than formulas in what people ask.
MATHS = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


@dataclass(frozen=True, slots=True)
class Panel:
    """Columns of answers with the box below them."""

    histories: Sequence[gr.Chatbot]
    feet: Sequence[gr.HTML]
    about: gr.HTML
    prompt: gr.Textbox
    send: gr.Button
    stop: gr.Button
    clear: gr.Button

    @property
    def shown(self) -> list[Any]:
        """What an answer fills: histories, feet, the notice, the prompt."""
        return [*self.histories, *self.feet, self.about, self.prompt]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person sent: the choice of models, the conversation of each column, the text, and the further fields."""

    chosen: tuple[Any, ...]
    conversations: tuple[tuple[Message, ...], ...]
    text: str
    further: tuple[Any, ...]
    request: gr.Request

    @property
    def name(self) -> str:
        """What `stop` calls these answers."""
        return str(self.request.session_hash)


@dataclass(frozen=True, slots=True)
class Showing:
    """The columns at one moment and the places where they stand, from 0.

    `labels` are those of all places, where they change; `note` goes before the board's own notice; `extra` are the
    values of the fields that a page adds to what an answer fills.
    """

    board: Board
    places: Sequence[int]
    labels: Sequence[str] = ()
    note: str = ""
    extra: Sequence[Any] = ()


Talk = Callable[[Asked], Iterator[Showing]]


def side(locale: str, name: str, label: str) -> tuple[gr.Chatbot, gr.HTML]:
    """A conversation, and below it how its last answer went; stands in the column that is open."""
    history = gr.Chatbot(
        label=label, rtl=locale == "fa", height=420, elem_id=f"side-{name}", elem_classes=["side"],
        sanitize_html=True, allow_tags=False, latex_delimiters=MATHS, buttons=["copy"],
    )  # fmt: skip
    return history, html_block(elem_id=f"foot-{name}")


def box(locale: str, sides: Sequence[tuple[gr.Chatbot, gr.HTML]]) -> tuple[Panel, gr.Row]:
    """The prompt below the columns, and the row of its buttons, for a page to add its own."""
    about = html_block(elem_id="chat-notice")
    prompt = gr.Textbox(
        "", label=say(locale, "chat.prompt"), placeholder=say(locale, "chat.prompt_example"), lines=2, elem_id="prompt"
    )
    with gr.Row(elem_classes=["actions"]) as actions:
        send = gr.Button(say(locale, "chat.send"), variant="primary", elem_id="send")
        stop = gr.Button(say(locale, "chat.stop"), elem_id="chat-stop")
        clear = gr.Button(say(locale, "chat.clear"), elem_id="chat-clear")
    histories, feet = zip(*sides, strict=True)
    return Panel(histories, feet, about, prompt, send, stop, clear), actions


def connect(
    locale: str, panel: Panel, *, choosing: Sequence[Any], further: Sequence[Any], filled: Sequence[Any], talk: Talk,
    halt: Callable[[str], Any], limit: int = 4,
) -> Any:  # fmt: skip
    """Wire Send and Stop, and return the event of a question.

    Args:
        locale: Of the page.
        panel: From `box`.
        choosing: Fields that choose the models.
        further: Other fields of a question.
        filled: What an answer fills beside the panel; the ``extra`` of `talk`.
        talk: Answers.
        halt: Stops the answers of a name.
        limit: How many people are answered at once; the chat process takes them in turn.
    """
    sent = [*choosing, *panel.histories, panel.prompt, *further]
    outputs = [*panel.shown, *filled]

    def stop(request: gr.Request) -> None:
        halt(str(request.session_hash))

    event = gr.on(
        [panel.send.click, panel.prompt.submit], guarded(locale, answering(locale, panel, len(choosing), talk)), sent,
        outputs, api_name="chat", concurrency_limit=limit, show_progress="hidden", preprocess=False,
    )  # fmt: skip
    panel.stop.click(guarded(locale, stop), None, None, api_name="chat_stop", queue=False)
    return event


def connect_clear(
    locale: str, panel: Panel, *, filled: Sequence[Any], wiped: Sequence[Any], events: Sequence[Any],
    halt: Callable[[str], Any],
) -> None:  # fmt: skip
    """Wire what begins anew: it ends answers under way, the `events`, and gives `filled` the values `wiped`."""

    def clear(request: gr.Request) -> list[Any]:
        halt(str(request.session_hash))
        return [*[[] for _ in panel.histories], *["" for _ in panel.feet], "", "", *wiped]

    # Each conversation has a bin of its own in Gradio's corner; the prompt is one, and so it begins anew in all.
    gr.on(
        [panel.clear.click, *[history.clear for history in panel.histories]], guarded(locale, clear), None,
        [*panel.shown, *filled], cancels=[*events], api_name="chat_clear", queue=False,
    )  # fmt: skip


def answering(
    locale: str, panel: Panel, choices: int, talk: Talk, prepare: Callable[[Asked], Asked] = lambda asked: asked
) -> Callable[..., Iterator[list[Any]]]:
    """The handler of a question: from the values of the fields to what the page shows, again and again."""
    count = len(panel.histories)

    def answer(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        histories, rest = values[choices : choices + count], values[choices + count :]
        asked = Asked(values[:choices], tuple(map(past, histories)), rest[0], rest[1:], request)
        prompt: Any = ""
        for showing in talk(prepare(asked)):
            yield [*shown(locale, count, showing), prompt, *showing.extra]
            prompt = gr.skip()  # the next question may be on its way already

    return answer


def shown(locale: str, count: int, showing: Showing) -> list[Any]:
    """Histories, feet and notice of a moment; places without a column keep their history."""
    columns = dict(zip(showing.places, showing.board.columns, strict=True))
    histories: list[Any] = [shown_history(columns[place]) if place in columns else gr.skip() for place in range(count)]
    if showing.labels:
        histories = [
            gr.update(label=label) if place not in columns else gr.update(value=histories[place], label=label)
            for place, label in enumerate(showing.labels)
        ]
    feet = [foot(locale, columns[place]) if place in columns else "" for place in range(count)]
    return [*histories, *feet, showing.note + notice(locale, showing.board)]


def last_question(conversations: Sequence[tuple[Message, ...]]) -> str:
    """The question that was asked last.

    Raises:
        StudioError: ``chat.nothing_asked``.
    """
    for conversation in conversations:
        for message in reversed(conversation):
            if message.role == "user":
                return message.content
    raise StudioError("chat.nothing_asked")


def without_last(conversation: tuple[Message, ...], question: str) -> tuple[Message, ...]:
    """A conversation before its last turn, if that was `question`; a column that was added later has fewer turns."""
    at = max((place for place, message in enumerate(conversation) if message.role == "user"), default=None)
    return conversation if at is None or conversation[at].content != question else conversation[:at]


def asked_again(asked: Asked) -> Asked:
    """The last question instead of what stands in the box, and the conversations before it.

    Raises:
        StudioError: ``chat.nothing_asked``.
    """
    question = last_question(asked.conversations)
    before = tuple(without_last(conversation, question) for conversation in asked.conversations)
    return replace(asked, text=question, conversations=before)
