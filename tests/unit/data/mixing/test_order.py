"""What may be asked of a mix, and how it is written."""

from __future__ import annotations

from typing import Any

import pytest

from studio.data.mixing.order import Cap, Source, parse_cap, parse_source
from studio.data.mixing.record import join_licences
from studio.data.mixing.rendering import cut, kind_of_mix
from studio.data.sample import Kind
from studio.errors import StudioError

from .making import count_words, order


@pytest.mark.parametrize(
    ("text", "found"), [("news", ("news", None)), ("news=2", ("news", 2.0)), (" اخبار =0.5", ("اخبار", 0.5))]
)
def test_a_source_is_written_with_or_without_its_weight(text: str, found: tuple[str, float | None]) -> None:
    assert parse_source(text) == found


@pytest.mark.parametrize(
    ("text", "name", "cap"),
    [
        ("2", None, Cap(amount=2)), ("0.5x", None, Cap(amount=0.5)), ("news=3x", "news", Cap(amount=3)),
        ("news=500rows", "news", Cap(amount=500, unit="rows")), ("1e6tokens", None, Cap(amount=1e6, unit="tokens")),
        ("2 passes", None, Cap(amount=2)),
    ],
)  # fmt: skip
def test_a_cap_is_written_with_its_unit(text: str, name: str | None, cap: Cap) -> None:
    assert parse_cap(text) == (name, cap)


@pytest.mark.parametrize("text", ["", "x", "news=", "two", "0", "-1x", "nanx", "inf", "0.5rows", "0tokens", "3 cups"])
def test_what_is_no_cap_is_refused(text: str) -> None:
    with pytest.raises(StudioError) as caught:
        parse_cap(text)
    assert caught.value.code == "mix.bad_cap"


@pytest.mark.parametrize("text", ["news=", "news=much", "news=1,5"])
def test_what_is_no_number_is_no_weight(text: str) -> None:
    with pytest.raises(StudioError) as caught:
        parse_source(text)
    assert (caught.value.code, caught.value.details["name"]) == ("mix.bad_weight", "news")


A, B = Source(dataset="a"), Source(dataset="b")


@pytest.mark.parametrize(
    ("sources", "given", "code"),
    [
        ((), {}, "mix.no_sources"),
        ((Source(dataset="a", replay=True),), {}, "mix.no_sources"),
        ((A, A), {}, "mix.same_twice"),
        ((A, Source(dataset="a", replay=True)), {}, "mix.same_twice"),
        ((Source(dataset="a", weight=0),), {}, "mix.bad_weight"),
        ((Source(dataset="a", weight=-1),), {}, "mix.bad_weight"),
        ((Source(dataset="a", weight=float("nan")),), {}, "mix.bad_weight"),
        ((Source(dataset="a", weight=float("inf")),), {}, "mix.bad_weight"),
        ((A, Source(dataset="b", weight=2)), {}, "mix.some_weights"),
        ((A, B), {"budget": 0}, "mix.bad_budget"),
        ((A, B), {"budget": -5}, "mix.bad_budget"),
        ((A, B), {"temperature": 0}, "mix.bad_temperature"),
        ((A, B), {"temperature": float("inf")}, "mix.bad_temperature"),
        ((A, B), {"held_out": 0.6}, "mix.bad_share"),
        ((A, B), {"held_out": float("nan")}, "mix.bad_share"),
        ((A, B), {"replay": -0.1}, "mix.bad_share"),
        ((Source(dataset="a", cap=Cap(amount=0)),), {}, "mix.bad_cap"),
    ],
)
def test_an_order_without_sense_is_refused(sources: tuple[Source, ...], given: dict[str, Any], code: str) -> None:
    with pytest.raises(StudioError) as caught:
        order(*sources, **given).checked()
    assert caught.value.code == code


def test_an_order_with_sense_is_itself() -> None:
    asked = order(Source(dataset="a", weight=2), Source(dataset="b", weight=1), Source(dataset="c", replay=True))
    assert asked.checked() == asked


@pytest.mark.parametrize(
    ("kinds", "asked", "kind"),
    [
        ({"text"}, None, "text"), ({"text", "pair"}, None, "text"), ({"chat", "pair"}, None, "chat"),
        ({"pair"}, None, "pair"), ({"pair"}, "text", "text"), ({"pair"}, "chat", "chat"), ({"text"}, "text", "text"),
    ],
)  # fmt: skip
def test_pairs_follow_the_others(kinds: set[Kind], asked: Kind | None, kind: Kind) -> None:
    assert kind_of_mix(kinds, asked) == kind


@pytest.mark.parametrize(
    ("kinds", "asked", "code"),
    [
        ({"text", "chat"}, None, "mix.texts_with_chats"), ({"text", "chat", "pair"}, "text", "mix.texts_with_chats"),
        ({"text", "pair"}, "pair", "mix.cannot_become"), ({"chat"}, "text", "mix.cannot_become"),
    ],
)  # fmt: skip
def test_kinds_that_do_not_go_together_are_refused(kinds: set[Kind], asked: Kind | None, code: str) -> None:
    with pytest.raises(StudioError) as caught:
        kind_of_mix(kinds, asked)
    assert caught.value.code == code


def test_all_licences_are_named_and_unknown_ones_said() -> None:
    assert join_licences({"a": "CC0-1.0", "b": "CC-BY-4.0", "c": "CC0-1.0"}) == "CC0-1.0, CC-BY-4.0"
    assert join_licences({"a": "CC0-1.0", "b": None, "c": None}) == "CC0-1.0; unknown: b, c"
    assert join_licences({"a": None}) is None


@pytest.mark.parametrize("room", [1, 7, 50, 99])
def test_a_text_is_cut_within_its_room_and_nothing_is_lost(room: int) -> None:
    text = "\n".join(f"سطر {line} از این متن" for line in range(20))
    head, rest = cut(text, 100, room, count_words)
    assert head + rest == text
    assert 0 < len(head.split()) <= room
    assert head[-1] in "\n " or rest[0] in "\n ", "between words"


def test_a_text_that_cannot_be_cut_stays_whole() -> None:
    assert cut("یک", 5, 1, lambda texts: [5] * len(texts)) == ("", "یک")
