"""What the buttons of the owner's chat do: ask, ask again, take back, hide names, vote, save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from studio.chat.requests import Quantisation
from studio.errors import StudioError
from studio.i18n import say
from studio.services import chat, conversations, votes
from studio.services.chat import Board
from studio.services.conversations import Turn
from studio.services.studio import Studio
from studio.services.votes import Ballot
from studio.ui import chat_vote
from studio.ui.chat_columns import (
    Asked,
    Panel,
    Showing,
    Talk,
    answering,
    asked_again,
    connect,
    connect_anew,
    connect_clear,
    last_question,
    without_last,
)
from studio.ui.chat_knobs import Knobs, sampling
from studio.ui.chat_views import History, past, shown_history
from studio.ui.handlers import guarded, inform
from studio.ui.widgets import PLAIN, file_to_save, saver


@dataclass(frozen=True, slots=True)
class Screen:
    """The parts of the screen that the buttons need; `kept` are the turns so far, `ballot` what can be voted on."""

    models: Sequence[gr.Dropdown]
    panel: Panel
    knobs: Knobs
    hide: gr.Checkbox
    vote: gr.Radio
    kept: gr.State
    ballot: gr.State

    @property
    def further(self) -> list[Any]:
        """Fields of a question beside models, conversations and prompt."""
        return [self.hide, self.knobs.four_bits, self.knobs.system, *self.knobs.numbers, self.kept]

    @property
    def filled(self) -> list[Any]:
        """What an answer fills beside the panel."""
        return [self.knobs.seed, self.kept, self.ballot, self.vote]


def connect_asking(locale: str, studio: Studio, screen: Screen, again: gr.Button, edit: gr.Button) -> list[Any]:
    """Send, stop, begin anew; the last question once more, or back into the box; returns the events that answer."""
    panel, talk, none = screen.panel, _talk(locale, studio), chat_vote.asking(locale, None)
    halt = partial(chat.stop, studio)

    first = connect(
        locale, panel, choosing=screen.models, further=screen.further, filled=screen.filled, talk=talk, halt=halt
    )

    def take_back(kept: Sequence[Turn], *histories: History) -> list[Any]:
        talked = [past(history) for history in histories]
        question = last_question(talked)
        before = [without_last(conversation, question) for conversation in talked]
        shown = [shown_history(chat.Column("", conversation)) for conversation in before]
        return [*shown, *["" for _ in panel.feet], "", question, gr.skip(), _before(kept, question), None, none]

    sent = [*screen.models, *panel.asked, *screen.further]
    outputs = [*panel.shown, *screen.filled]
    retry = answering(locale, panel, len(screen.models), talk, _again)
    second = again.click(guarded(locale, retry), sent, outputs, api_name="chat_retry", concurrency_limit=4,
                         show_progress="hidden", preprocess=False)  # fmt: skip
    edit.click(guarded(locale, take_back), [screen.kept, *panel.histories], outputs, cancels=[first, second],
               api_name="chat_edit", **PLAIN)  # fmt: skip
    connect_clear(panel, events=[first, second], halt=halt, further={screen.vote: none})
    return [first, second]


def connect_voting(locale: str, studio: Studio, screen: Screen, events: Sequence[Any]) -> None:
    """Names hidden or shown, which begins anew and ends the `events` that answer, and the vote."""
    panel = screen.panel
    count = len(panel.histories)
    named = [say(locale, "chat.column", place=place + 1) for place in range(count)]
    unnamed = [chat_vote.letter(locale, place) for place in range(count)]
    empty = ["" for _ in [*panel.feet, panel.about]]
    values = [
        [*[gr.update(visible=visible) for _ in screen.models],
         *[gr.update(value=[], label=label) for label in labels], *empty, chat_vote.asking(locale, None)]
        for visible, labels in ((True, named), (False, unnamed))
    ]  # fmt: skip

    def cast(choice: str | None, ballot: Ballot | None) -> list[Any]:
        votes.cast(studio, ballot, choice)
        assert ballot is not None
        assert choice is not None
        labels = chat_vote.named(locale, ballot.columns, ballot.places, count)
        return [
            *[gr.update(label=label) for label in labels],
            *chat_vote.feet(locale, ballot, count),
            chat_vote.told(locale, ballot, choice), None, chat_vote.asking(locale, None),
        ]  # fmt: skip

    shown = [*panel.histories, *panel.feet, panel.about]
    connect_anew(
        panel, [screen.hide.input], [*screen.models, *shown, screen.vote], values, events=events,
        halt=partial(chat.stop, studio), api_name="chat_hide", ticked=[screen.hide],
    )  # fmt: skip
    screen.vote.input(guarded(locale, cast), [screen.vote, screen.ballot], [*shown, screen.ballot, screen.vote],
                      api_name="chat_vote", **PLAIN)  # fmt: skip


def connect_saving(locale: str, screen: Screen, as_json: gr.Button, as_markdown: gr.Button) -> None:
    """The conversation as a file, for programs and for people."""
    file = saver()

    def told(kept: Sequence[Turn], ballot: Ballot | None, shown: Sequence[History]) -> Sequence[Turn]:
        if not any(shown):  # begun anew
            return ()
        if ballot is not None:
            raise StudioError("votes.judge_first")
        return kept

    def json_file(kept: Sequence[Turn], ballot: Ballot | None, *shown: History) -> str:
        return file_to_save("chat.json", "application/json", conversations.as_json(told(kept, ballot, shown)))

    def markdown_file(kept: Sequence[Turn], ballot: Ballot | None, *shown: History) -> str:
        text = conversations.as_markdown(locale, told(kept, ballot, shown))
        return file_to_save("chat.md", "text/markdown", text)

    kept = [screen.kept, screen.ballot, *screen.panel.histories]
    as_json.click(guarded(locale, json_file), kept, file, api_name="chat_json", **PLAIN)
    as_markdown.click(guarded(locale, markdown_file), kept, file, api_name="chat_markdown", **PLAIN)


def connect_unload(locale: str, studio: Studio, unload: gr.Button) -> None:
    """Free the memory."""

    def free() -> None:
        if chat.unload(studio):
            inform(locale, "chat.unloaded")

    unload.click(guarded(locale, free), None, None, api_name="chat_unload")


def _talk(locale: str, studio: Studio) -> Talk:
    def talk(asked: Asked) -> Iterator[Showing]:
        hidden, four_bits, system, *numbers, kept = asked.further
        drawn, seed = sampling(*numbers), numbers[-1]
        if hidden or not any(asked.conversations):  # begun anew, in the browser
            kept = ()
        models = [(place, model) for place, model in enumerate(asked.chosen) if model]
        places = [place for place, _ in models]
        if hidden:
            columns = [chat.Column(model) for model in votes.shuffled([model for _, model in models])]
        else:
            columns = [chat.Column(model, asked.conversations[place]) for place, model in models]
        held: Quantisation = "nf4" if four_bits else "none"
        boards = chat.talk(studio, columns, asked.text, drawn, system=system, quantisation=held, name=asked.name)
        moments = chat_vote.unnamed(locale, boards, places, len(asked.chosen)) if hidden else _named(boards, places)
        vote = chat_vote.asking(locale, None)
        for board, showing, ballot in moments:
            told = not hidden or all(column.is_over for column in board.columns)
            turns = (*kept, Turn(asked.text, system, drawn, tuple(board.columns))) if told else ()
            vote = chat_vote.asking(locale, ballot) if ballot else vote
            yield replace(showing, extra=[seed, turns, ballot, vote])
            seed = vote = gr.skip()

    return talk


def _named(boards: Iterator[Board], places: Sequence[int]) -> Iterator[tuple[Board, Showing, None]]:
    for board in boards:
        yield board, Showing(board, places), None


def _again(asked: Asked) -> Asked:
    """The last question with the next seed: the same one would give the same answer."""
    *further, seed, kept = asked.further
    again = asked_again(asked)
    return replace(again, further=(*further, (seed or 0) + 1, _before(kept, again.text)))


def _before(kept: Sequence[Turn], question: str) -> tuple[Turn, ...]:
    """The turns before `question` was asked last; one that every column refused stands in no column any more."""
    last = max((place for place, turn in enumerate(kept) if turn.question == question), default=len(kept))
    return tuple(kept[:last])
