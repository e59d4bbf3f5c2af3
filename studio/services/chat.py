"""The chat tab: the base and checkpoints side by side, answered by a process of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from studio.auth import owner_only
from studio.chat.client import ChatClient, ChatStatus
from studio.chat.events import Finished, Loading, Piece, Refused, Started, Waiting
from studio.chat.requests import Message, Quantisation, Request, Sampling
from studio.errors import StudioError
from studio.evaluation.flags import Flag, flags
from studio.models.files import is_fetched, locate
from studio.models.reference import parse_reference
from studio.services import models, runs, training
from studio.services.studio import Studio

_NEWEST = 8  # runs that are looked into for one to begin with: a page asks every few seconds


@dataclass(frozen=True, slots=True)
class Column:
    """One side as a page shows it: its reference, the conversation with its own answers, and how the last one went."""

    reference: str
    messages: tuple[Message, ...] = ()
    finished: Finished | None = None
    refused: StudioError | None = None
    has_template: bool = True

    @property
    def question(self) -> str:
        """What was asked last, empty before anything was."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What stands out about the last answer, once it is whole."""
        return () if self.finished is None else flags(self.question, self.finished.text)

    @property
    def is_over(self) -> bool:
        """Whether the last question has its answer, or will have none."""
        return self.finished is not None or self.refused is not None


@dataclass(frozen=True, slots=True)
class Board:
    """All sides at one moment; `waiting` or `loading` while no answer has begun."""

    columns: list[Column] = field(default_factory=list)
    waiting: Waiting | None = None
    loading: Loading | None = None


@owner_only
def bases(studio: Studio) -> list[str]:
    """Base models a chat can use: those on disk."""
    return models.fetched(studio)


@owner_only
def adapted(studio: Studio) -> list[str]:
    """Runs with something to talk to, newest first, each with its finished stages and its checkpoints."""
    return [reference for run in runs.listing(studio) for reference in training.checkpoints(studio, run.id)]


@owner_only
def newest(studio: Studio) -> str | None:
    """The newest run that can answer now; the base of none of the newest few may be on disk."""
    for run in runs.listing(studio)[:_NEWEST]:
        if training.checkpoints(studio, run.id) and can_answer(studio, f"run:{run.id}"):
            return f"run:{run.id}"
    return None


@owner_only
def can_answer(studio: Studio, reference: str) -> bool:
    """Whether all files of a model are there."""
    try:
        locate(reference, studio.settings)
    except StudioError:
        return False
    return True


@owner_only
def base_of(studio: Studio, reference: str) -> str:
    """The base that a run was trained on."""
    if parse_reference(reference).scheme == "run":
        return locate(reference, studio.settings).base
    return reference


@owner_only
def talk(
    studio: Studio,
    columns: Sequence[Column],
    prompt: str,
    sampling: Sampling,
    *,
    system: str = "",
    quantisation: Quantisation | None = None,
    name: str,
) -> Iterator[Board]:
    """Ask all sides the same and yield what a page shows, again and again, until all have answered.

    Args:
        studio: The studio.
        columns: The sides with their conversations so far.
        prompt: What the user says next.
        sampling: The same for all sides.
        system: System message, before the first turn of every conversation.
        quantisation: How the base shall be held; None leaves it as it is.
        name: What `stop` calls these answers.

    Raises:
        StudioError: ``chat.no_prompt``, ``chat.no_model``, ``model.*``, ``chat.*``, ``device.busy``.
    """
    if not prompt.strip():
        raise StudioError("chat.no_prompt")
    if not columns:
        raise StudioError("chat.no_model")
    for column in columns:
        if parse_reference(column.reference).scheme != "run" and not is_fetched(column.reference, studio.settings):
            raise StudioError("model.not_fetched", model=column.reference)
    asked = [replace(column, messages=_with_prompt(column.messages, prompt, system)) for column in columns]
    requests = [
        Request(side=column.reference, messages=column.messages, sampling=sampling, quantisation=quantisation)
        for column in asked
    ]
    board = Board(asked)
    yield board
    for event in ChatClient(studio.settings).stream(requests, name=name):
        board = _after(board, event)
        yield board


def _with_prompt(messages: tuple[Message, ...], prompt: str, system: str) -> tuple[Message, ...]:
    turns = tuple(message for message in messages if message.role != "system")
    start = (Message(role="system", content=system.strip()),) if system.strip() else ()
    return (*start, *turns, Message(role="user", content=prompt))


def _after(board: Board, event: object) -> Board:
    match event:
        case Waiting():
            return replace(board, waiting=event, loading=None)
        case Loading():
            return replace(board, loading=event, waiting=None)
        case Started():
            column = replace(board.columns[event.answer], has_template=event.template)
        case Piece():
            column = _with_text(board.columns[event.answer], event.text, whole=False)
        case Finished():
            column = replace(_with_text(board.columns[event.answer], event.text, whole=True), finished=event)
        case Refused():
            column = board.columns[event.answer]
            # A turn without an answer is taken back, or the next prompt would follow it as a second user turn.
            column = replace(column, messages=column.messages[:-1], refused=event.as_error())
        case _:
            return board
    columns = [column if at == event.answer else kept for at, kept in enumerate(board.columns)]
    return Board(columns)


def _with_text(column: Column, text: str, *, whole: bool) -> Column:
    """`text` appended to the answer, or put in its place when it is the whole of it."""
    last = column.messages[-1]
    if last.role != "assistant":
        return replace(column, messages=(*column.messages, Message(role="assistant", content=text)))
    answer = Message(role="assistant", content=text if whole else last.content + text)
    return replace(column, messages=(*column.messages[:-1], answer))


@owner_only
def stop(studio: Studio, name: str) -> int:
    """Stop the answers called `name`."""
    return ChatClient(studio.settings).stop(name)


@owner_only
def unload(studio: Studio) -> bool:
    """End the chat process and free its memory; False if there was none."""
    freed = ChatClient(studio.settings).unload()
    studio.queue.advance()
    return freed


@owner_only
def status(studio: Studio) -> ChatStatus | None:
    """What the chat process holds, or None if there is none."""
    return ChatClient(studio.settings).status()
