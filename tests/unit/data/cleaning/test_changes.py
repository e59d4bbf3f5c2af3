"""What is shown of a cleaning is what it did: nothing of a row is missing, every drop can be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from studio.data import stored
from studio.data.cleaning import changes
from studio.data.cleaning.ledger import read_ledger
from studio.data.cleaning.switches import choose
from studio.data.persian.normalise import normalise
from studio.data.sample import Chat, Message, Pair, Text, strings
from studio.errors import StudioError
from tests.unit.data.cleaning.test_clean import ENGLISH, OTHER, PROSE, THIRD, run, store

DOCUMENTS = [
    f"{PROSE} كتاب علي را مي خوانم و باز مي گردم. {ENGLISH}\n{OTHER}",
    ENGLISH,
    f"{PROSE} {THIRD}",
    f"{THIRD}\nکوتاه است.\n{PROSE}",
    f"{PROSE} {THIRD}",
]
CHATS = [
    Chat((Message("user", "كتاب خوب چيست؟"), Message("assistant", PROSE))),
    Chat((Message("user", "سلام بر شما دوستان خوب من"), Message("assistant", ""))),
]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.fixture
def cleaned(tmp_path: Path) -> tuple[Path, Path]:
    parent = store(tmp_path, "in", [Text(text) for text in DOCUMENTS])
    run(parent, choose("text", "llama_persian"))
    return parent, tmp_path / "out"


def test_nothing_of_a_row_is_missing_from_what_is_shown(cleaned: tuple[Path, Path]) -> None:
    kept = iter(stored.read_samples(cleaned[1]))
    shown = changes.look(*cleaned, list(range(len(DOCUMENTS))))
    for change, before in zip(shown, DOCUMENTS, strict=True):
        assert "".join(part.text for part in change.stretches if part.kind != "new") == before
        assert "".join(part.text for part in change.stretches if part.kind != "gone") == normalise(before)
        left = "".join(part.text for part in change.stretches if part.kind != "gone" and part.reason is None)
        if change.reason is None:
            assert squeezed(left) == squeezed(strings(next(kept))[0])
        else:
            assert left == ""
    assert next(kept, None) is None
    assert [change.reason for change in shown] == [None, "nothing_left", None, "nothing_left", "duplicates"]


def test_mended_and_dropped_stretches_are_marked(cleaned: tuple[Path, Path]) -> None:
    change = changes.look(*cleaned, [0])[0]
    gone = " ".join(part.text for part in change.stretches if part.kind == "gone")
    assert "كتاب" in gone
    assert "علي" in gone
    assert {part.reason for part in change.stretches if ENGLISH.split()[1] in part.text} == {"language"}
    assert all(part.reason is None for part in change.stretches if PROSE.split()[1] in part.text)


def test_every_drop_of_the_ledger_is_found(cleaned: tuple[Path, Path]) -> None:
    ledger = read_ledger(cleaned[1])
    assert ledger is not None
    dropped = ledger.dropped()
    assert {"language", "duplicates", "few_words", "seen", "nothing_left"} <= dropped.keys()
    for rule, amount in dropped.items():
        rows, total = changes.find(*cleaned, rule, 0, 100)
        assert total == len(rows)
        seen = [change for change in changes.look(*cleaned, rows)]
        if amount["rows"]:
            assert total == amount["rows"], rule
            assert {change.reason for change in seen} == {rule}
        else:
            assert all(rule in {part.reason for part in change.stretches} or change.reason for change in seen), rule
    everything, total = changes.find(*cleaned, None, 0, 100)
    assert (everything, total) == ([0, 1, 2, 3, 4], 5)
    assert changes.find(*cleaned, None, 1, 1)[0] == everything[1:2]
    assert changes.find(*cleaned, "normalise", 0, 9) == ([0], None)


def test_chats_are_shown_turn_by_turn(tmp_path: Path) -> None:
    parent = store(tmp_path, "in", CHATS)
    run(parent, choose("chat"))
    first, second = changes.look(parent, tmp_path / "out", [0, 1])
    assert "".join(part.text for part in first.stretches if part.kind != "gone") == f"کتاب خوب چیست؟\n{PROSE}"
    assert (first.reason, second.reason) == (None, "empty")
    assert {part.reason for part in second.stretches} == {"empty"}


def test_pairs_are_shown_with_both_sides(tmp_path: Path) -> None:
    parent = store(tmp_path, "in", [Pair("كتاب خوب را خواندم.", "I have read the good book."), Pair(PROSE, PROSE)])
    run(parent, choose("pair"))
    first, second = changes.look(parent, tmp_path / "out", [0, 1])
    shown = "".join(part.text for part in first.stretches if part.kind != "gone")
    assert shown == "کتاب خوب را خواندم.\nI have read the good book."
    assert (first.reason, second.reason) == (None, "same")
    assert changes.find(parent, tmp_path / "out", "same", 0, 5) == ([1], 1)


def test_long_rows_are_cut_and_say_so(tmp_path: Path) -> None:
    parent = store(
        tmp_path, "in", [Text(f"{PROSE}\n{OTHER}\n" + "\n".join(f"{THIRD} {number}" for number in range(200)))]
    )
    run(parent, choose("text", "llama_persian"))
    change = changes.look(parent, tmp_path / "out", [0])[0]
    assert change.cut
    assert sum(len(part.text) for part in change.stretches if part.kind != "new") == changes.LONGEST


def test_what_cannot_be_compared_is_refused(cleaned: tuple[Path, Path], tmp_path: Path) -> None:
    parent, out = cleaned
    for given, code in (((parent, parent), "clean.not_cleaned"), ((tmp_path / "none", out), "clean.parent_gone")):
        with pytest.raises(StudioError) as caught:
            changes.look(*given, [0])
        assert caught.value.code == code
    with pytest.raises(StudioError) as caught:
        changes.find(parent, out, "nonsense", 0, 1)
    assert caught.value.code == "clean.no_such_rule"
