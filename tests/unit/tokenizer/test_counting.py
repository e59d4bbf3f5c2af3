"""Counting: the same words however a corpus is cut, by however many processes, and little memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from studio.tokenizer.counting import LONGEST_WORD, START, blocks_of, count_words, rarest_out, spans
from studio.tokenizer.scripts import JOINER, find_script
from tests.tiny import SENTENCES

PATTERN = find_script().found.pattern
LINES = [*SENTENCES, "  دو فاصله", "زبانه\tجدا", "", "\u200c", "پایان"] * 4


def expected() -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    for line in LINES:
        for stretch in line.split("\t"):
            for place, word in enumerate(stretch.split(" ")):
                if find_script().touches(word):
                    found[(START if place == 0 else b"") + word.encode()] += 1
    return found


@pytest.mark.parametrize("size", [40, 333, 1 << 20])
def test_however_it_is_cut(size: int, tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(LINES), encoding="utf8")
    for blocks in (spans(path, size), blocks_of(LINES, size)):
        found = count_words(blocks, PATTERN, workers=1)
        assert found.types == expected()
        assert found.words == sum(len(line.split()) for line in LINES)
        assert (found.target, found.forgotten) == (expected().total(), 0)


def test_processes_agree(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(LINES), encoding="utf8")
    assert count_words(spans(path, 500), PATTERN, workers=2).types == expected()


def test_a_line_without_end_is_counted_word_by_word(tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    path.write_text("سلام دنیا " * 50_000, encoding="utf8")
    found = count_words(spans(path, 1 << 16), PATTERN, workers=1)
    assert found.types == {START + "سلام".encode(): 1, "سلام".encode(): 49_999, "دنیا".encode(): 50_000}


def test_a_word_without_end_is_counted_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "word.txt"
    path.write_text("آب" * 50_000, encoding="utf8")
    found = count_words(spans(path, 1 << 14), PATTERN, workers=1)
    assert max(map(len, found.types)) <= LONGEST_WORD
    joined = sum(len(word.removeprefix(START).decode()) * count for word, count in found.types.items())
    assert joined == 100_000, "no letter is lost or halved"


def test_bytes_that_are_no_text_do_no_harm() -> None:
    found = count_words([b"\xff\xfe \xd8 " + "خوب\x00بد".encode()], PATTERN)
    assert found.types == {"خوب".encode(): 1, START + "بد".encode(): 1}


def test_memory_is_bounded_and_what_was_left_out_is_counted() -> None:
    blocks = [" ".join([f"و{number:b}".replace("0", "ا").replace("1", "ب")] * (1 + number % 3)).encode() for number in
              range(300)]  # fmt: skip
    found = count_words(blocks, PATTERN, workers=1, kept=100)
    assert len(found.types) <= 100
    assert sum(found.types.values()) + found.forgotten == found.target
    assert set(rarest_out({b"a": 1, b"b": 2, b"c": 3}, 1)) == {b"c"}


def test_the_half_space_counts_alone_and_a_byte_order_mark_does_not() -> None:
    script = find_script()
    assert script.touches(JOINER)
    assert script.owns(JOINER)
    assert not script.owns(f" {JOINER}")
    assert not script.touches("\ufeffPlain “English”, 12,500 — 漢字 и кириллица")
    for letter in "پچژگیکۀؤأ،؛؟۰۹٠٫٬ًٔـﻻﭘ":
        assert script.owns(letter), letter
