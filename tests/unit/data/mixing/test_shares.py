"""Weights, temperature, caps and budgets as arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.data.mixing.order import Cap, Source
from studio.data.mixing.shares import Size, fill, limit, plan, shares

from .making import order


def test_temperature_flattens_towards_equal_shares() -> None:
    assert shares([3, 1]) == pytest.approx([0.75, 0.25])
    assert shares([16, 1], 2) == pytest.approx([0.8, 0.2]), "share ∝ weight ** (1 / temperature)"
    assert shares([1e9, 1], 100) == pytest.approx([0.5, 0.5], abs=0.06)
    assert shares([1e300, 1e-300], 0.05) == [1.0, 0.0], "no overflow"
    assert shares([]) == []


@pytest.mark.parametrize(("weights", "temperature"), [([1, 0], 1), ([1, -1], 1), ([1], 0), ([float("nan")], 1)])
def test_what_is_no_weight_is_our_mistake(weights: list[float], temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        shares(weights, temperature)


def test_what_one_lacks_goes_to_the_others_by_their_shares() -> None:
    assert fill([0.5, 0.3, 0.2], [100, 1000, 1000], 1000) == pytest.approx([100, 540, 360])
    assert fill([0.5, 0.5], [100, 200], 1000) == [100, 200]
    assert fill([0.0, 1.0], [100, 200], 150) == [0, 150]


amounts = st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 1e6)), min_size=1, max_size=6)


@given(amounts, st.floats(1, 1e7))
def test_a_budget_is_filled_as_far_as_it_can_be(given_: list[tuple[float, float]], budget: float) -> None:
    wanted, available = shares([weight for weight, _ in given_]), [have for _, have in given_]
    found = fill(wanted, available, budget)
    assert sum(found) == pytest.approx(min(budget, sum(available)), rel=1e-6)
    assert all(part <= have * (1 + 1e-9) for part, have in zip(found, available, strict=True))
    free = [at for at, have in enumerate(available) if found[at] < have * (1 - 1e-6)]
    rates = [found[at] / wanted[at] for at in free]
    assert all(rate == pytest.approx(rates[0], rel=1e-6) for rate in rates), "those that have more keep their shares"


@pytest.mark.parametrize(
    ("cap", "tokens"),
    [
        (Cap(), 1000), (Cap(amount=2.5), 2500), (Cap(amount=30, unit="rows"), 300),
        (Cap(amount=300, unit="rows"), 1000), (Cap(amount=50, unit="tokens"), 50),
        (Cap(amount=5000, unit="tokens"), 1000),
    ],
)  # fmt: skip
def test_a_cap_in_rows_or_tokens_ends_within_one_pass(cap: Cap, tokens: float) -> None:
    assert limit(Size(1000, 100), cap) == pytest.approx(tokens)


def test_a_budget_is_divided_by_the_weights() -> None:
    found = plan(order(Source(dataset="a", weight=3), Source(dataset="b", weight=1), budget=400),
                 [Size(10_000, 10), Size(10_000, 10)])  # fmt: skip
    assert found.tokens == pytest.approx((300, 100))
    assert not found.whole


def test_without_weights_and_budget_everything_is_taken() -> None:
    found = plan(order(Source(dataset="a"), Source(dataset="b")), [Size(900, 9), Size(100, 1)])
    assert found.whole
    assert found.tokens == (900, 100)
    assert found.shares == pytest.approx((0.9, 0.1))


def test_without_a_budget_weights_are_kept_as_far_as_the_scarcest_source_goes() -> None:
    found = plan(order(Source(dataset="a", weight=1), Source(dataset="b", weight=1)), [Size(900, 9), Size(100, 1)])
    assert found.tokens == pytest.approx((100, 100))
    assert not found.whole
    flat = plan(order(Source(dataset="a"), Source(dataset="b"), temperature=2), [Size(900, 9), Size(100, 1)])
    assert flat.tokens == pytest.approx((300, 100))


def test_replay_has_its_share_of_what_the_others_come_to_and_no_more() -> None:
    persian, english = Source(dataset="fa", weight=1), Source(dataset="en", replay=True)
    found = plan(order(persian, english, budget=10_000, replay=0.1), [Size(900, 9), Size(50_000, 50)])
    assert found.tokens == pytest.approx((900, 100)), "not 9,100 of English because the Persian ran out"
    assert found.shares == pytest.approx((0.9, 0.1))
    scarce = plan(order(persian, english, budget=10_000, replay=0.1), [Size(50_000, 9), Size(50, 1)])
    assert scarce.tokens == pytest.approx((9950, 50)), "what English lacks is Persian"
    whole = plan(order(Source(dataset="fa"), english, replay=0.1), [Size(900, 9), Size(50_000, 50)])
    assert whole.tokens == pytest.approx((900, 100))
