"""What stands beside answers: flags, names, and what votes say."""

from __future__ import annotations

from typing import Any

import pytest

from studio.chat.events import Finished
from studio.chat.requests import Message
from studio.errors import StudioError
from studio.evaluation.flags import Flag
from studio.i18n import LOCALES, number, say
from studio.services import votes
from studio.services.chat import Board, Column
from studio.services.prompt_sets import Row, Table
from studio.services.votes import Tally
from studio.ui import chat_prompts, chat_vote
from studio.ui.chat_views import flags_view, foot, title

BASE, RUN = "starter:smollm2-135m", "run:a-1/chat"
BAD = "<img src=x onerror=alert(1)> می رود"


def column(reference: str, text: str) -> Column:
    said = (Message(role="user", content="سلام، چطوری؟"), Message(role="assistant", content=text))
    return Column(reference, said, Finished(0, reference, text, "end", 3, 1.0, 0.1, 3.0, 4.0))


@pytest.mark.parametrize("locale", LOCALES)
def test_flags_are_said_with_their_measure(locale: str) -> None:
    html = flags_view(locale, [Flag("repetition", 0.434), Flag("half_spaces", 2, ("می رود",))])
    assert (
        say(locale, "chat.flag.repetition", value=say(locale, "progress.percent", percent=number(locale, 43))) in html
    )
    assert say(locale, "chat.flag.half_spaces", value=number(locale, 2)) in html
    assert "«می رود»" in html
    assert flags_view(locale, []) == ""


@pytest.mark.parametrize("locale", LOCALES)
def test_what_a_model_says_is_no_markup(locale: str) -> None:
    shown = column(RUN, BAD)
    table = chat_prompts.table_view(locale, Table((RUN,), 1, (Row("poems", "شعر", (shown,)),)))
    for html in (foot(locale, shown), table):
        assert "<img" not in html
    assert "&lt;img src=x onerror" in table
    assert title(RUN) in table


@pytest.mark.parametrize("locale", LOCALES)
def test_the_tally_says_what_the_interval_says(locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [
        Tally(BASE, RUN, BASE, wins=9, losses=0), Tally(BASE, "run:b-1/chat", BASE, wins=1, losses=9, equal=4),
        Tally(BASE, "run:c-1/chat", BASE, wins=3, losses=2), Tally(BASE, "run:d-1/chat", BASE, bad=1),
    ]  # fmt: skip
    monkeypatch.setattr(votes, "tally", lambda studio: pairs)
    html = chat_vote.tally_view(locale, None)  # type: ignore[arg-type]
    rows = html.split("<tr>")[2:]
    for row, says in zip(rows, ("better", "worse", "same", "nothing"), strict=True):
        assert say(locale, f"vote.says.{says}") in row
    assert (
        say(locale, "vote.share", share=number(locale, 100), low=number(locale, 70), high=number(locale, 100))
        in rows[0]
    )
    monkeypatch.setattr(votes, "tally", lambda studio: [])
    assert say(locale, "vote.none") in chat_vote.tally_view(locale, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_refusal_among_hidden_models_is_said_with_the_names(locale: str) -> None:
    """Nobody can vote then, so that nothing is given away."""
    refused: Any = Column(RUN, refused=StudioError("chat.no_memory"))
    showing, ballot = chat_vote.blind(locale, Board([column(BASE, "بله"), refused]), (0, 2), 4)
    assert ballot is None
    assert BASE in showing.labels[0]
    assert title(RUN) in showing.labels[2]
    assert showing.board.columns[1].refused is refused.refused
