"""A model in bf16 that computes in fp32 for a while, without a second copy of it in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch
from torch import Tensor, nn

_MEMORY_SHARE = 0.5


def can_widen(model: Any) -> bool:
    """Whether the largest module of `model` fits in memory once more in fp32."""
    largest = max((4 * each.numel() for each in model.parameters() if _narrow(each)), default=0)
    if model.device.type == "cuda":
        unused = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        free = torch.cuda.mem_get_info()[0] + unused
    else:
        free = psutil.virtual_memory().available
    return bool(largest <= _MEMORY_SHARE * free)


@contextmanager
def in_fp32(model: Any) -> Iterator[None]:
    """Let `model` compute in fp32: each module's weights are widened while it runs, and are themselves again after.

    The figures are those of a model loaded in fp32, at the memory of its largest module. Layers in four bits multiply
    as they do in training; what lies between them is fp32.
    """
    kept: dict[nn.Module, list[tuple[nn.Parameter, Tensor]]] = {}

    def widen(module: nn.Module, _: Any) -> None:
        narrow = [each for each in module.parameters(recurse=False) if _narrow(each)]
        kept[module] = [(each, each.data) for each in narrow]
        with torch.inference_mode(False):  # a weight whose data was an inference tensor could not learn again
            for each in narrow:
                each.data = each.data.float()

    def restore(module: nn.Module, *_: Any) -> None:
        for each, data in kept.pop(module, []):
            each.data = data

    holders = [each for each in model.modules() if any(map(_narrow, each.parameters(recurse=False)))]
    hooks = [each.register_forward_pre_hook(widen, prepend=True) for each in holders]
    hooks += [each.register_forward_hook(restore) for each in holders]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module in list(kept):  # one that an error ended in the middle
            restore(module)


def _narrow(weight: Tensor) -> bool:
    return bool(weight.is_floating_point() and weight.dtype != torch.float32)
