"""Rows of a vocabulary step only when they are met; everything else is torch's own AdamW."""

from __future__ import annotations

from copy import deepcopy

import torch

from studio.training.row_adam import LAZY, RowAdamW

RATE = 1e-2


def pull(step: int, rows: int = 5) -> torch.Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(step))


def optimizer(rows: torch.nn.Parameter, other: torch.nn.Parameter, *, lazy: bool = True) -> RowAdamW:
    groups = [
        {"params": [other], "lr": RATE, "weight_decay": 0.1},
        {"params": [rows], "lr": RATE, "weight_decay": 0.0, LAZY: lazy},
    ]
    return RowAdamW(groups, fused=True)


def parameters() -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    torch.manual_seed(0)
    return torch.nn.Parameter(torch.randn(5, 3)), torch.nn.Parameter(torch.randn(2, 2))


def test_rows_met_at_every_step_and_all_other_weights_move_as_with_adamw() -> None:
    rows, other = parameters()
    theirs, more = parameters()
    ours = optimizer(rows, other)
    plain = torch.optim.AdamW(
        [{"params": [more], "lr": RATE, "weight_decay": 0.1}, {"params": [theirs], "lr": RATE, "weight_decay": 0.0}]
    )
    for step in range(6):
        for table, weight in ((rows, other), (theirs, more)):
            table.grad, weight.grad = pull(step), pull(100 + step, 2)[:, :2].clone()
        ours.step()
        plain.step()
    assert torch.allclose(rows, theirs, atol=1e-6)
    assert torch.allclose(other, more, atol=1e-6)


def test_a_row_that_is_not_met_stays_and_counts_only_its_own_steps() -> None:
    rows, other = parameters()
    alone = torch.nn.Parameter(rows.detach()[2:3].clone())
    ours, plain = optimizer(rows, other), torch.optim.AdamW([alone], lr=RATE, weight_decay=0.0)
    before = rows.detach().clone()
    for step in range(9):
        rows.grad = torch.zeros_like(rows)
        rows.grad[0] = 1e-9  # met, however small its gradient
        if step % 3 == 0:
            rows.grad[2] = pull(step)[2]
            alone.grad = pull(step)[2:3]
            plain.step()
        ours.step()
    assert torch.equal(rows[[1, 3, 4]], before[[1, 3, 4]])
    assert torch.allclose(rows[2:3], alone, atol=1e-6)
    assert not torch.equal(rows[0], before[0])


def test_without_the_mark_rows_move_by_momentum() -> None:
    rows, other = parameters()
    ours = optimizer(rows, other, lazy=False)
    rows.grad = pull(0)
    ours.step()
    before = rows.detach().clone()
    rows.grad = torch.zeros_like(rows)
    ours.step()
    assert not torch.equal(rows, before)


def test_its_state_is_restored_exactly() -> None:
    rows, other = parameters()
    ours = optimizer(rows, other)
    rows.grad = pull(1)
    ours.step()
    again, second = torch.nn.Parameter(rows.detach().clone()), torch.nn.Parameter(other.detach().clone())
    later = optimizer(again, second)
    later.load_state_dict(deepcopy(ours.state_dict()))  # torch would share the tensors
    for table, one in ((rows, ours), (again, later)):
        table.grad = pull(2)
        table.grad[3] = 0
        one.step()
    assert torch.equal(rows, again)


def test_a_step_that_overflowed_is_left_out() -> None:
    rows, other = parameters()
    ours = optimizer(rows, other)
    rows.grad = pull(1)
    ours.found_inf = torch.tensor(1.0)
    before = rows.detach().clone()
    ours.step()
    assert torch.equal(rows, before)
    del ours.found_inf
    ours.step()
    assert not torch.equal(rows, before)
