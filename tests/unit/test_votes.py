"""Blind votes: nothing tells the models apart before the vote, and votes are tallied with an interval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.chat.events import Finished, Reason
from studio.chat.requests import Message
from studio.errors import StudioError
from studio.evaluation.intervals import wilson
from studio.models.files import ModelFiles
from studio.services import votes
from studio.services.chat import Board, Column
from studio.services.studio import Studio, open_studio
from studio.services.votes import Ballot, Tally
from studio.settings import Settings

BASE, RUN, OTHER = "starter:smollm2-135m", "run:first-1", "run:first-1/chat@20"
EXACT = {BASE: BASE, RUN: "run:first-1/chat", OTHER: OTHER}


def finished(reference: str, text: str = "پاسخ", reason: Reason = "end") -> Finished:
    return Finished(0, reference, text, reason, 3, 1.0, 0.1, 3.0, 4.0)


def column(reference: str, text: str = "پاسخ") -> Column:
    turns = (Message(role="user", content="سلام"), Message(role="assistant", content=text))
    return Column(reference, turns, finished(reference, text), has_template=reference != BASE)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    opened = open_studio(Settings(tmp_path))
    stage = opened.settings.runs / "first-1" / "stages" / "00-chat"

    def locate(reference: str, settings: Any) -> ModelFiles:
        adapter = {RUN: stage, OTHER: stage / "checkpoints" / "step-000020"}.get(reference)
        return ModelFiles(reference, BASE, tmp_path, tmp_path, adapter)

    monkeypatch.setattr(votes, "locate", locate)
    return opened


def ballot(*references: str) -> Ballot:
    return Ballot(tuple(column(reference) for reference in references), tuple(range(len(references))))


def test_the_order_is_shuffled_and_needs_two_models() -> None:
    orders = {tuple(votes.shuffled([BASE, RUN])) for _ in range(64)}
    assert orders == {(BASE, RUN), (RUN, BASE)}
    for references in ([], [BASE], [RUN, RUN], [BASE, RUN, RUN]):
        with pytest.raises(StudioError, match=r"votes\.needs_two"):
            votes.shuffled(references)


def test_a_veiled_board_tells_no_model_from_another() -> None:
    whole = Board([column(BASE, "یک"), column(RUN, "دو")])
    half = Board([column(BASE, "یک"), replace(column(RUN, "دو و باز"), finished=None)])
    refused = Board(
        [column(BASE), replace(column(RUN), finished=None, refused=StudioError("chat.bad_adapter", side=RUN))]
    )
    for board in (whole, half, refused):
        shown = repr(votes.veiled(board))
        for telling in (BASE, RUN, "tokens_per_second", "has_template=False", "bad_adapter"):
            assert telling not in shown
    assert [each.messages[-1].content for each in votes.veiled(whole).columns] == ["یک", "دو"]
    assert [each.messages[-1].role for each in votes.veiled(half).columns] == ["user", "user"], "it shows who is fast"


def test_only_whole_answers_can_be_judged() -> None:
    whole = Board([column(BASE), column(RUN)])
    assert votes.ballot(whole, (0, 2)) == Ballot(tuple(whole.columns), (0, 2))
    assert votes.ballot(Board([column(BASE), replace(column(RUN), finished=None)]), (0, 1)) is None
    assert votes.ballot(Board([column(BASE), replace(column(RUN), refused=StudioError("x"))]), (0, 1)) is None
    assert votes.ballot(Board(), ()) is None


def test_votes_are_tallied_against_the_base(studio: Studio) -> None:
    for first, second, choice in (
        (BASE, RUN, "1"), (RUN, BASE, "0"), (RUN, BASE, "0"), (BASE, RUN, "0"), (BASE, RUN, "equal"),
        (RUN, BASE, "bad"),
    ):  # fmt: skip
        votes.cast(studio, ballot(first, second), choice)
    (pair,) = votes.tally(studio)
    assert pair == Tally(BASE, "run:first-1/chat", BASE, wins=3, losses=1, equal=1, bad=1)
    assert (pair.share, pair.interval) == (0.75, wilson(3, 4))
    assert not pair.shows_difference
    assert Tally(BASE, RUN, BASE, wins=10).shows_difference
    assert votes.tally(studio, "first-1") == [pair]
    assert votes.tally(studio, "first-10") == []


def test_the_best_of_three_has_beaten_two(studio: Studio) -> None:
    votes.cast(studio, ballot(BASE, RUN, OTHER), "1")
    votes.cast(studio, ballot(OTHER, BASE, RUN), "equal")
    found = {(pair.model, pair.against): (pair.wins, pair.losses, pair.equal) for pair in votes.tally(studio)}
    assert found == {
        (EXACT[RUN], BASE): (1, 0, 1), (OTHER, BASE): (0, 0, 1), (EXACT[RUN], OTHER): (1, 0, 1)
    }  # fmt: skip
    assert votes.tally(studio)[-1].against != BASE
    assert votes.tally(studio)[1].share is None


def test_what_is_no_vote_is_refused(studio: Studio) -> None:
    for given, choice, code in (
        (None, "0", "votes.nothing_to_judge"), (ballot(BASE, RUN), "2", "votes.bad_choice"),
        (ballot(BASE, RUN), None, "votes.bad_choice"),
    ):  # fmt: skip
        with pytest.raises(StudioError, match=code):
            votes.cast(studio, given, choice)
    assert votes.tally(studio) == []
