"""The chat tab: one prompt, the base on one side and the adapted model on the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from pydantic import ValidationError

from studio.chat.requests import Message, Sampling
from studio.errors import invalid
from studio.i18n import bytes_text, number, say
from studio.services import chat, jobs
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.parts import Markup
from studio.ui.widgets import PLAIN, follow_choices, html_block, live_panel, pulse

PANEL = "chat_memory"
CHOICES_SECONDS = 4.0
History = list[dict[str, Any]]


def memory_view(locale: str, studio: Studio) -> Markup:
    """What the chat process holds now."""
    status = chat.status(studio)
    if status is None or not status.sides:
        return parts.paragraph(say(locale, "chat.not_loaded"), soft=True)
    memory = bytes_text(locale, status.memory)
    return parts.paragraph(say(locale, "chat.loaded", memory=memory, device=status.device or ""), soft=True)


def shown_history(column: chat.Column) -> History:
    """The conversation as the chat component takes it; a system message is not a turn."""
    return [
        {"role": message.role, "content": message.content} for message in column.messages if message.role != "system"
    ]


def foot(locale: str, column: chat.Column) -> Markup:
    """Below an answer: its speed, or why there is none."""
    if column.refused is not None:
        return parts.error_banner(locale, column.refused)
    lines = [] if column.has_template else [say(locale, "chat.no_template")]
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
    return parts.paragraph(" · ".join(lines), soft=True) if lines else Markup("")


def notice(locale: str, board: chat.Board) -> Markup:
    """Who is waited for, or how far the model has come into memory."""
    if board.waiting is not None:
        if board.waiting.holder:
            return parts.paragraph(
                say(locale, "jobs.waits_for", title=jobs.title_text(locale, board.waiting.holder)), soft=True
            )
        return parts.paragraph(say(locale, "chat.waits_people", position=board.waiting.position), soft=True)
    if board.loading is not None:
        return parts.progress_bar(board.loading.share, say(locale, board.loading.note), locale=locale)
    return Markup("")


def past(history: History | None) -> tuple[Message, ...]:
    """The conversation that a chat component shows, as the engine takes it."""
    messages = []
    for turn in history or []:
        content = turn["content"]
        # Gradio gives text back as a list of parts.
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        messages.append(Message(role=turn["role"], content=text))
    return tuple(messages)


def build(locale: str, studio: Studio) -> None:
    """The screen."""
    html_block(parts.heading(say(locale, "chat.title"), say(locale, "chat.lead")))
    with gr.Row():
        base = gr.Dropdown(chat.bases(studio), label=say(locale, "chat.base"), interactive=True, elem_id="chat-base")
        run = gr.Dropdown(_runs(locale, studio), value="", label=say(locale, "chat.checkpoint"), interactive=True,
                          elem_id="chat-run")  # fmt: skip
    with gr.Row(equal_height=True):
        sides = [side(locale, name) for name in ("base", "adapted")]
    about = html_block(elem_id="chat-notice")
    prompt = gr.Textbox(
        "", label=say(locale, "chat.prompt"), placeholder=say(locale, "chat.prompt_example"), lines=2, elem_id="prompt"
    )
    with gr.Row(elem_classes=["actions"]):
        send = gr.Button(say(locale, "chat.send"), variant="primary", elem_id="send")
        stop = gr.Button(say(locale, "chat.stop"), elem_id="chat-stop")
        clear = gr.Button(say(locale, "chat.clear"))
        unload = gr.Button(say(locale, "chat.unload"), elem_id="unload")
    live_panel(PANEL, elem_id="chat-memory")
    with gr.Accordion(say(locale, "knobs.advanced"), open=False):
        system = gr.Textbox("", label=say(locale, "chat.system"), info=say(locale, "chat.system_info"))
        with gr.Row():
            knobs = _knobs(locale)
    _events(locale, studio, [base, run], sides, about, [prompt, system, *knobs], (send, stop, clear, unload))


def side(locale: str, name: str) -> tuple[gr.Chatbot, gr.HTML]:
    """A conversation, and below it how its last answer went."""
    with gr.Column(min_width=280):
        history = gr.Chatbot(
            label=say(locale, f"chat.{name}"), rtl=locale == "fa", height=420, elem_id=f"side-{name}",
            sanitize_html=True,
            buttons=["copy"], allow_tags=False,
        )  # fmt: skip
        return history, html_block(elem_id=f"foot-{name}")


def _knobs(locale: str) -> list[gr.Number]:
    given = {"temperature": (0.7, None), "top_p": (0.95, None), "max_tokens": (128, 0), "seed": (3407, 0)}
    return [
        gr.Number(
            value,
            label=say(locale, f"chat.{name}"),
            info=say(locale, f"chat.{name}_info"),
            precision=precision,
            min_width=160,
            minimum=0,
        )  # fmt: skip
        for name, (value, precision) in given.items()
    ]


def _runs(locale: str, studio: Studio) -> list[tuple[str, str]]:
    none = (say(locale, "vocabulary.no_dataset"), "")
    return [none, *[(reference.removeprefix("run:"), reference) for reference in chat.adapted(studio)]]


def sampling(temperature: float | None, top_p: float | None, tokens: float | None, seed: float | None) -> Sampling:
    """The knobs of the page; no variety at all is greedy.

    Raises:
        StudioError: ``chat.bad_knob``.
    """
    given = {"max_new_tokens": tokens, "seed": seed}
    chosen = {"temperature": temperature, "top_p": top_p} if temperature else {"greedy": True}
    try:
        return Sampling.model_validate({**given, **chosen})
    except ValidationError as error:
        raise invalid("chat.bad_knob", error) from error


def _events(
    locale: str, studio: Studio, models: list[gr.Dropdown], sides: list[tuple[gr.Chatbot, gr.HTML]], about: gr.HTML,
    asked: list[Any], buttons: tuple[gr.Button, gr.Button, gr.Button, gr.Button],
) -> None:  # fmt: skip
    histories, feet = [side[0] for side in sides], [side[1] for side in sides]
    base, run = models
    prompt = asked[0]
    send, stop, clear, unload = buttons

    def answer(
        base_reference: str, run_reference: str, base_history: History, run_history: History, text: str, system: str,
        temperature: float, top_p: float, tokens: float, seed: float, request: gr.Request,
    ) -> Iterator[list[Any]]:  # fmt: skip
        given = [(base_reference, base_history), (run_reference, run_history)]
        columns = [chat.Column(reference, past(history)) for reference, history in given if reference]
        boards = chat.talk(
            studio, columns, text, sampling(temperature, top_p, tokens, seed), system=system,
            name=str(request.session_hash),
        )  # fmt: skip
        for board in boards:
            told = iter(board.columns)
            rows = [next(told) if reference else None for reference, _ in given]
            yield [
                *[gr.skip() if row is None else shown_history(row) for row in rows],
                *["" if row is None else foot(locale, row) for row in rows],
                notice(locale, board),
                "",
            ]

    def refresh(base_reference: str | None, run_reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
        found, runs = chat.bases(studio), _runs(locale, studio)
        kept = run_reference if run_reference in [value for _, value in runs] else ""
        chosen = base_reference if base_reference in found else next(iter(found), None)
        return follow_choices(found, chosen, base_reference), follow_choices(runs, kept, run_reference)

    def follow(reference: str) -> Any:
        return chat.base_of(studio, reference) if reference else gr.skip()

    def halt(request: gr.Request) -> None:
        chat.stop(studio, str(request.session_hash))

    def free() -> None:
        if chat.unload(studio):
            inform(locale, "chat.unloaded")

    gr.on(
        [send.click, prompt.submit], guarded(locale, answer), [base, run, *histories, *asked],
        [*histories, *feet, about, prompt], api_name="chat", concurrency_limit=4, show_progress="hidden",
        preprocess=False,
    )  # fmt: skip
    stop.click(guarded(locale, halt), None, None, api_name="chat_stop", queue=False)
    clear.click(lambda: [[], [], "", "", ""], None, [*histories, *feet, about], api_name="chat_clear", queue=False)
    unload.click(guarded(locale, free), None, None, api_name="chat_unload")
    run.input(guarded(locale, follow), run, base, api_name="chat_base", **PLAIN)
    pulse(CHOICES_SECONDS).tick(
        refresh, [base, run], [base, run], api_name="chat_choices", queue=False, show_progress="hidden", **PLAIN
    )


def panels(studio: Studio) -> dict[str, Any]:
    """The live parts of the screen."""
    return {PANEL: lambda locale, _: memory_view(locale, studio)}
