"""Proof that the computed merge is the model that was trained: both have the same logits with weights in fp32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studio.errors import StudioError
from studio.publish.recomputed import recomputing

LARGEST = 400_000_000
"""Parameters of the largest model that is compared: it takes 3.2 GB, and a minute on a small machine."""
LIMIT, RELATIVE_LIMIT = 1e-4, 1e-5


@dataclass(frozen=True, slots=True)
class SameLogits:
    """The largest difference between two logits, over `tokens`, where the largest logit was `largest`."""

    difference: float
    largest: float
    tokens: int


def check_logits(
    model: Any,
    texts: Sequence[Sequence[int]],
    base: Path,
    adapter: Path,
    *,
    towards_base: float = 0.0,
    limit: float = LIMIT,
) -> SameLogits:
    """Compare a model with its adapter beside it to itself with the recomputed weights and no adapter.

    With :func:`studio.publish.verify.check_tensors`, which holds the same weights against the files bit for bit, this
    says that the files are the run.

    Args:
        model: A peft model in fp32 in main memory, at the strength that is merged; it is of no use afterwards. Sums
            are taken in fp64: in fp32 the order of the sums alone moves the starter's logits, up to 34, by 9e-5.
        texts: Token ids.
        base: Folder of the base.
        adapter: Folder of the adapter.
        towards_base: Of the merge.
        limit: Of the difference between two logits; 1e-5 of the largest logit where that is more.

    Raises:
        StudioError: ``publish.logits_differ`` or ``publish.verify_failed``.
    """
    model = model.double()
    ids = [torch.tensor([list(text)]) for text in texts]
    before = [_logits(model, each) for each in ids]
    with recomputing(base, adapter, towards_base=towards_base) as wanted, torch.no_grad():
        for name, change in wanted.changes.items():
            layer = model.get_submodule(f"base_model.model.{change.module}")
            layer.get_base_layer().weight.copy_(wanted[name])
    with model.disable_adapter():
        after = [_logits(model, each) for each in ids]
    difference = max(float((one - other).abs().max()) for one, other in zip(before, after, strict=True))
    largest = max(float(each.abs().max()) for each in before)
    # Written so that a NaN fails too.
    limit = max(limit, RELATIVE_LIMIT * largest)
    if not difference <= limit:
        raise StudioError("publish.logits_differ", difference=float(f"{difference:.2g}"), limit=float(f"{limit:.2g}"))
    return SameLogits(difference, largest, sum(each.shape[1] for each in ids))


def _logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return logits.double()
