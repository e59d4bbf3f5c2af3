"""Products of a frozen matrix and its LoRA pair, several side by side as one, with gradients for the pair alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Bundle:
    """Linear layers that read the same input: their frozen weights in one matrix, their LoRA pairs by reference.

    `weight` has shape ``(outputs, inputs)``; the layers' own weights are views of it, so nothing is held twice.
    """

    weight: Tensor
    pairs: tuple[tuple[nn.Parameter, nn.Parameter], ...]
    scales: tuple[float, ...]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """A and B of each layer in turn."""
        return [matrix for pair in self.pairs for matrix in pair]

    def down(self) -> Tensor:
        """All A below one another in the dtype of `weight`, shape ``(sum of ranks, inputs)``."""
        return torch.cat([a.detach() for a, _ in self.pairs]).to(self.weight.dtype)

    def up(self) -> Tensor:
        """All scaled B as blocks on a diagonal, shape ``(outputs, sum of ranks)``."""
        blocks = [b.detach() * scale for (_, b), scale in zip(self.pairs, self.scales, strict=True)]
        return torch.block_diag(*blocks).to(self.weight.dtype)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``residual + x W' + (x A') B'`` and ``x A'``, of shapes ``(tokens, outputs)`` and ``(tokens, ranks)``."""
        low = x @ self.down().t()
        result = x @ self.weight.t() if residual is None else torch.addmm(residual, x, self.weight.t())
        return result.addmm_(low, self.up().t()), low

    def backward(
        self, upstream: Tensor, x: Tensor, low: Tensor, *, need_input: bool
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Gradient of the input (None if not needed) and, in fp32, of `parameters`."""
        of_low = upstream @ self.up()
        of_input = (upstream @ self.weight).addmm_(of_low, self.down()) if need_input else None
        of_down, of_up = (of_low.t() @ x).float(), (upstream.t() @ low).float()
        gradients, row, column = [], 0, 0
        for (a, b), scale in zip(self.pairs, self.scales, strict=True):
            gradients.append(of_down[column : column + len(a)])
            gradients.append(of_up[row : row + len(b), column : column + len(a)] * scale)
            row, column = row + len(b), column + len(a)
        return of_input, gradients


def bundle(layers: Sequence[Any]) -> Bundle | None:
    """Put peft's LoRA `layers`, which read the same input, together; None if any is not plain enough.

    Plain means: one adapter, no dropout, no variant such as DoRA, a frozen unquantised `nn.Linear` without bias.
    """
    if not all(_plain(layer) for layer in layers):
        return None
    weights = [layer.base_layer.weight for layer in layers]
    if len(weights) == 1:
        together = weights[0].data
    else:
        together = torch.cat([weight.data for weight in weights])
        for weight, part in zip(weights, together.split([len(weight) for weight in weights]), strict=True):
            weight.data = part
    pairs = tuple((layer.lora_A["default"].weight, layer.lora_B["default"].weight) for layer in layers)
    return Bundle(together, pairs, tuple(float(layer.scaling["default"]) for layer in layers))


def _plain(layer: Any) -> bool:
    base: Any = getattr(layer, "base_layer", None)
    return (
        base is not None
        and type(base) is nn.Linear
        and base.bias is None
        and not base.weight.requires_grad
        and list(layer.lora_A) == ["default"]
        and isinstance(layer.lora_dropout["default"], nn.Identity)
        and not layer.lora_variant
        and not layer.lora_bias["default"]
    )
