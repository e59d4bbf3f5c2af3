from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data.cleaning import dedup
from studio.data.cleaning.contamination import touches
from studio.data.cleaning.hashing import PERMUTATIONS, ROWS, hash_groups, hash_text, hash_words, sign

LONG = "باران تند دیشب راه روستا را بست و کسی نتوانست تا ظهر فردا از خانه بیرون برود یا خبری به شهر برساند"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=8), st.sampled_from([2, 5, 1 << 20]))
def test_first_places_are_those_of_a_dictionary(blocks: list[list[int]], part: int) -> None:
    whole = [value for block in blocks for value in block]
    seen: dict[int, int] = {}
    expected = [
        seen.get(value, -1) if seen.setdefault(value, place) != place else -1 for place, value in enumerate(whole)
    ]
    before, dedup.PART = dedup.PART, part
    try:
        with tempfile.TemporaryDirectory() as folder:
            arrays = [np.array(block, np.uint64) * np.uint64(2**61 - 1) for block in blocks]
            found = np.fromfile(dedup.find_first(arrays, len(whole), Path(folder)), np.int64)
            assert [path.name for path in Path(folder).iterdir()] == ["first.i64"], "nothing is left over"
    finally:
        dedup.PART = before
    assert found.tolist() == expected


@pytest.mark.parametrize("part", [2, 1 << 20])
def test_near_copies_are_found_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(dedup, "PART", part)
    other = "کتاب‌های تازه را روی میز گذاشت و گفت هر کس هر چه خواست بردارد و هفتهٔ دیگر سالم برگرداند لطفاً همه"
    far = " ".join(reversed(LONG.split()))
    texts = [LONG + " " + other, other, LONG + "! " + other + " یک", far, "کوتاه است", "کوتاه است", LONG + " " + other]
    signatures = sign(*hash_words(texts))
    (tmp_path / "signatures").write_bytes(signatures.tobytes())
    found = np.fromfile(dedup.find_near(tmp_path / "signatures", len(texts), 0.8, tmp_path), np.int64)
    assert found.tolist() == [-1, -1, 0, -1, -1, -1, 0]


def test_a_shared_band_alone_is_not_enough(tmp_path: Path) -> None:
    signatures = np.random.default_rng(1).integers(1, 2**32, (3, PERMUTATIONS), np.uint32)
    signatures[1, :ROWS] = signatures[0, :ROWS]
    signatures[2, 12:] = signatures[0, 12:]
    (tmp_path / "signatures").write_bytes(signatures.tobytes())
    found = np.fromfile(dedup.find_near(tmp_path / "signatures", 3, 0.8, tmp_path), np.int64)
    assert found.tolist() == [-1, -1, 0]


def test_words_are_hashed_wherever_they_stand() -> None:
    hashes, starts = hash_words(["باغ، «Garden» باغ", "", "garden! می‌رود رود"])
    assert starts.tolist() == [0, 3, 3, 6]
    assert hashes[0] == hashes[2]
    assert hashes[1] == hashes[3]
    assert len(set(hashes.tolist())) == 4
    long = hash_words(["آ " * 300_000 + "باغ"])[0]
    assert long[-1] == hashes[0]
    assert hash_text(" باغ\n") == hash_text("باغ") != hash_text("باع")


def test_groups_do_not_cross_documents() -> None:
    words, starts = hash_words(["یک دو سه چهار", "یک دو", "دو سه چهار"])
    groups, begins = hash_groups(words, starts, 3)
    assert begins.tolist() == [0, 2, 2, 3]
    assert groups[1] == groups[2], "the same three words"
    suites = np.unique(hash_groups(*hash_words(["دو سه چهار"]), 3)[0])
    assert touches(words, starts, suites, 3).tolist() == [True, False, True]
