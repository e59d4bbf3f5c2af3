"""Votes are kept, counted by pair, and forgotten with their run."""

from __future__ import annotations

from pathlib import Path

from studio.jobs.database import Database
from studio.jobs.history import HistoryStore
from studio.jobs.votes import Counted, Vote, VoteStore

BASE = "starter:smollm2-135m"


def test_votes_are_counted_by_pair_and_winner(tmp_path: Path) -> None:
    store = VoteStore(Database(tmp_path / "studio.db"))
    assert store.counts() == []
    one, two = "run:a-1/chat", "run:a-1/chat@20"
    store.add([Vote(BASE, one, BASE, "first", "سلام"), Vote(BASE, two, BASE, "equal", "سلام")])
    store.add([Vote(BASE, one, BASE, "first", "چرا؟")])
    assert store.counts() == [Counted(BASE, one, BASE, "first", 2), Counted(BASE, two, BASE, "equal", 1)]


def test_a_deleted_run_takes_its_votes_along_and_no_others(tmp_path: Path) -> None:
    database = Database(tmp_path / "studio.db")
    store = VoteStore(database)
    pairs = [("run:a-1/chat", BASE), (BASE, "run:a-1/chat@20"), ("run:a-10/chat", BASE), ("run:a_1/chat", BASE)]
    store.add([Vote(BASE, first, second, "bad", "سلام") for first, second in pairs])
    HistoryStore(database).forget("a-1")
    assert [(each.first, each.second) for each in store.counts()] == pairs[2:]
