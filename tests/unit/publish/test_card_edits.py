"""A card edited by hand is taken over by the next export of its run, and new facts reach it all the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from studio.publish.cards.card import write_card
from studio.publish.cards.edits import forget_edits, keep_edits, made_card, merged, put_card
from tests.unit.publish.test_card import FACTS, LOUD


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "first-1"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / ".incoming-first"
    folder.mkdir()
    return folder


def test_a_card_comes_with_its_pictures_and_is_kept_with_its_run(run, out) -> None:
    put = put_card(out, LOUD, run)
    assert (put.state, set(put.files)) == ("made", {"README.md", "curves-en.svg", "curves-fa.svg"})
    assert {path.name for path in out.iterdir()} == set(put.files)
    assert made_card(run, LOUD.name) == put.text == write_card(LOUD)
    assert put_card(out, FACTS, None).state == "made"


def test_edits_are_used_again_by_the_same_facts(run, out) -> None:
    made = put_card(out, FACTS, run).text
    keep_edits(run, "merged", FACTS.name, edited := made.replace("## Limits", "## What it cannot do"))
    put = put_card(out, FACTS, run)
    assert (put.state, put.text) == ("edited", edited)
    assert (out / "README.md").read_text(encoding="utf8") == edited


def test_new_facts_reach_an_edited_card(run, out) -> None:
    made = put_card(out, FACTS, run).text
    keep_edits(run, "merged", FACTS.name, made.replace("## Limits\n", "## Limits\n\nIt loves saffron.\n"))
    newer = dataclasses.replace(LOUD, weights=(("model.safetensors", "cd" * 32),))
    put = put_card(out, newer, run)
    assert put.state == "facts_changed"
    assert "It loves saffron." in put.text
    assert "cd" * 32 in put.text
    assert "ab" * 32 not in put.text
    assert "9 for this model" in put.text


def test_where_both_changed_the_same_line_the_person_s_words_stay(run, out) -> None:
    made = put_card(out, FACTS, run).text
    line = next(each for each in made.splitlines() if each.startswith("Bits per byte on a sample"))
    keep_edits(run, "merged", FACTS.name, made.replace(line, "We measured it."))
    assert FACTS.figures is not None
    newer = dataclasses.replace(FACTS, figures=dataclasses.replace(FACTS.figures, before=1.3))
    put = put_card(out, newer, run)
    assert put.state == "conflict"
    assert "We measured it." in put.text


def test_edits_belong_to_their_kind_and_can_be_forgotten(run, out) -> None:
    made = put_card(out, FACTS, run).text
    keep_edits(run, "merged", FACTS.name, made + "\nmore\n")
    other = dataclasses.replace(FACTS, kind="adapter")
    assert put_card(out, other, run).state == "made"
    forget_edits(run, "merged")
    assert put_card(out, FACTS, run).state == "made"
    keep_edits(run, "merged", FACTS.name, made)
    assert put_card(out, FACTS, run).state == "made", "nothing was changed"


@pytest.mark.parametrize(
    ("before", "edited", "made", "result", "conflict"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", "a\nb\nC\n", "a\nB\nC\n", False),
        ("a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n", "a\nX\nc\n", True),
        ("a\nb\nc\nd\n", "a\nB\nc\nd\n", "a\nb\nc\nD\n", "a\nB\nc\nD\n", False),
        ("a\nb\n", "a\nb\n", "x\ny\n", "x\ny\n", False),
        ("a\nb\n", "x\ny\n", "a\nb\n", "x\ny\n", False),
        ("a\n", "a\nmine\n", "new\na\n", "new\na\nmine\n", False),
        ("a\nb\nc\n", "a\nc\n", "a\nb\nc\nd\n", "a\nc\nd\n", False),
        ("a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n", "a\nX\nc\n", False),
        ("", "a\n", "b\n", "a\n", True),
        ("", "", "", "", False),
    ],
)
def test_lines_are_put_together(before, edited, made, result, conflict) -> None:
    assert merged(before, edited, made) == (result, conflict)
