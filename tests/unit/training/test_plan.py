from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import StudioError
from studio.recipes import Stage
from studio.training.plan import draw_rows, make_plan


def stage(**budget: Any) -> Stage:
    return Stage.model_validate(
        {"name": "a", "kind": "instruct", "data": [{"dataset": "d"}], "budget": budget, "batch": 2, "accumulation": 2}
    )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 300), st.integers(0, 5))
def test_the_mix_holds_its_shares_at_any_moment(weights: list[int], drawn: int, seed: int) -> None:
    sources = [source for source in range(len(weights)) for _ in range(source + 1)]
    taken = Counter(sources[row] for row in islice(draw_rows(sources, [1] * len(sources), weights, seed), drawn))
    for source, weight in enumerate(weights):
        assert abs(taken[source] - drawn * weight / sum(weights)) < len(weights)


def test_every_row_comes_once_before_any_comes_twice() -> None:
    rows = list(islice(draw_rows([0] * 7, [1] * 7, [1.0], 3), 14))
    assert sorted(rows[:7]) == sorted(rows[7:]) == list(range(7))
    assert rows[:7] != rows[7:]


def test_the_seed_alone_decides_the_order() -> None:
    first, again, other = (make_plan(stage(steps=9), [0] * 20, [5] * 20, [1.0], seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("budget", "steps"),
    [({"steps": 3}, 3), ({"epochs": 2}, 10), ({"epochs": 0.01}, 1), ({"tokens": 100}, 5), ({"tokens": 101}, 6)],
)
def test_budgets_come_to_optimizer_steps(budget: dict[str, Any], steps: int) -> None:
    plan = make_plan(stage(**budget), [0] * 20, [5] * 20, [1.0], 0)
    assert plan.steps == steps
    assert [len(batch) for batch in plan.batches] == [2] * steps * 2


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(StudioError, match="no_rows"):
        make_plan(stage(steps=1), [], [], [1.0], 0)
