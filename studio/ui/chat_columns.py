"""Columns that answer one prompt: what the owner's and the visitors' chats have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import gradio as gr

from studio.chat.requests import Message
from studio.errors import StudioError
from studio.i18n import say
from studio.services.chat import Board
from studio.ui.chat_views import foot, notice, past, shown_history
from studio.ui.handlers import guarded
from studio.ui.widgets import PLAIN, html_block

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
    """Columns of answers with the box below them; `number` counts what was begun, in the browser."""

    histories: Sequence[gr.Chatbot]
    feet: Sequence[gr.HTML]
    about: gr.HTML
    prompt: gr.Textbox
    send: gr.Button
    stop: gr.Button
    clear: gr.Button
    number: gr.Number

    @property
    def asked(self) -> list[Any]:
        """What a question sends of it."""
        return [*self.histories, self.prompt, self.number]

    @property
    def shown(self) -> list[Any]:
        """What an answer fills: histories, feet, the notice, the prompt."""
        return [*self.histories, *self.feet, self.about, self.prompt]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person sent: the choice of models, the conversation of each column, the text, and the further fields.

    `name` is what `stop` calls the answers.
    """

    chosen: tuple[Any, ...]
    conversations: tuple[tuple[Message, ...], ...]
    text: str
    further: tuple[Any, ...]
    name: str
    request: gr.Request


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
    number = gr.Number(0, visible=False)
    return Panel(histories, feet, about, prompt, send, stop, clear, number), actions


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
    outputs = [*panel.shown, *filled]

    def stop(number: object, request: gr.Request) -> None:
        halt(_name(request, number))

    event = gr.on(
        [panel.send.click, panel.prompt.submit], guarded(locale, answering(locale, panel, len(choosing), talk)),
        [*choosing, *panel.asked, *further], outputs, api_name="chat", concurrency_limit=limit,
        show_progress="hidden", preprocess=False,
    )  # fmt: skip
    panel.stop.click(guarded(locale, stop), panel.number, None, api_name="chat_stop", queue=False, **PLAIN)
    return event


def connect_clear(
    panel: Panel, *, events: Sequence[Any], halt: Callable[[str], Any],
    further: Mapping[Any, Any] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Wire what begins anew with an empty prompt; `further` fields get their values, as a browser takes them."""
    values = [*[[] for _ in panel.histories], *["" for _ in [*panel.feet, panel.about, panel.prompt]]]
    # Each conversation has a bin of its own in Gradio's corner; the prompt is one, and so it begins anew in all.
    connect_anew(
        panel, [panel.clear.click, *[history.clear for history in panel.histories]], [*panel.shown, *further],
        [[*values, *further.values()]], events=events, halt=halt, api_name="chat_clear",
    )  # fmt: skip


def connect_anew(
    panel: Panel, triggers: Sequence[Any], fields: Sequence[Any], values: Sequence[Sequence[Any]], *,
    events: Sequence[Any], halt: Callable[[str], Any], api_name: str, ticked: Sequence[gr.Checkbox] = (),
) -> None:  # fmt: skip
    """Wire what begins anew: it ends the `events` that answer, and gives `fields` their `values`.

    They get them in the browser, at once. When the server emptied the columns, and was late, a question asked
    meanwhile lost its answer and the vote on it.

    Args:
        panel: From `box`.
        triggers: What begins anew.
        fields: What is emptied.
        values: Of the fields, as a browser takes them; with `ticked`, those without a tick and those with one.
        events: The events of answers.
        halt: Stops the answers of a name.
        api_name: What the event is called; the one that calls `halt` ends in ``_stop``.
        ticked: A box that decides between two lists of values.
    """

    def stop(number: object, request: gr.Request) -> None:
        if isinstance(number, int):
            halt(_name(request, number - 1))

    gr.on(
        [*triggers], None, [panel.number, *ticked], [*fields, panel.number], cancels=[*events], api_name=api_name,
        js=f"(number, ticked) => [...{json.dumps(values)}[ticked ? 1 : 0], number + 1]",
    )  # fmt: skip
    # Gradio's page runs the events of one trigger in their order, each after the answer to the one before.
    gr.on([*triggers], stop, panel.number, None, api_name=f"{api_name}_stop", queue=False, trigger_mode="multiple",
          **PLAIN)  # fmt: skip


def answering(
    locale: str, panel: Panel, choices: int, talk: Talk, prepare: Callable[[Asked], Asked] = lambda asked: asked
) -> Callable[..., Iterator[list[Any]]]:
    """The handler of a question: from the values of the fields to what the page shows, again and again."""
    count = len(panel.histories)

    def answer(request: gr.Request, *values: Any) -> Iterator[list[Any]]:
        histories, (text, number, *further) = values[choices : choices + count], values[choices + count :]
        conversations = tuple(map(past, histories))
        asked = Asked(values[:choices], conversations, text, tuple(further), _name(request, number), request)
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


def _name(request: gr.Request, number: object) -> str:
    """What the answers of a page are called until it begins anew: a late stop must not end those that came after."""
    return f"{request.session_hash}:{number}"
