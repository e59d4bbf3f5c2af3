"""Pairs written out for training."""

from __future__ import annotations

import pytest

from studio.data.pairs import Direction, as_chats, as_texts
from studio.data.sample import Pair

PAIR = Pair("باران می‌بارد.", "It is raining.")


@pytest.mark.parametrize(
    ("direction", "texts"),
    [
        ("fa-en", ["باران می‌بارد.\nIt is raining."]),
        ("en-fa", ["It is raining.\nباران می‌بارد."]),
        ("both", ["باران می‌بارد.\nIt is raining.", "It is raining.\nباران می‌بارد."]),
    ],
)
def test_the_side_to_be_learnt_comes_last(direction: Direction, texts: list[str]) -> None:
    assert [text.text for text in as_texts(PAIR, direction)] == texts
    answers = [chat.messages[-1].content for chat in as_chats(PAIR, direction)]
    assert answers == [text.split("\n")[1] for text in texts]
    assert all(
        text.split("\n")[0] in chat.messages[0].content
        for text, chat in zip(texts, as_chats(PAIR, direction), strict=True)
    )
