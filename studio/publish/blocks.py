"""The bytes of merged tensors, computed in fp32 a block at a time and rounded once."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from studio.errors import StudioError
from studio.publish.adapter import Adapter, Update
from studio.publish.shards import bytes_of, tensor_in

_BLOCK = 1 << 20  # values summed and cast at a time: 4 MB in fp32, which fits the cache of every recent processor


@dataclass(frozen=True, slots=True)
class Blocks:
    """Computes with the factors of `adapter`, mapped in `factors`, and writes values of `dtype`.

    `product` holds the largest ``B @ A``: one buffer for all, since fresh memory for each made the kernel hand out
    pages for longer than the product took. `added` is the share of the adapter's change that is kept.
    """

    adapter: Adapter
    factors: mmap.mmap
    product: torch.Tensor
    dtype: torch.dtype
    added: float

    def adapted(self, name: str, weight: torch.Tensor, update: Update) -> Iterator[memoryview]:
        """`weight` with the adapter's change to it, in blocks of rows.

        Raises:
            StudioError: ``publish.adapter_broken`` for factors with a NaN or infinity; ``publish.overflows_fp16``.
        """
        down, up = self._factor(update.down), self._factor(update.up)
        whole = self.product[: weight.numel()].view(weight.shape)
        if update.magnitude is None:
            whole.copy_(weight).addmm_(up * (update.scale * self.added), down)
            for part in whole.split(self._rows(weight)):
                yield self._rounded(name, part)
            return
        torch.matmul(up, down, out=whole)
        lengths, rows = self._factor(update.magnitude), self._rows(weight)
        parts = zip(weight.split(rows), whole.split(rows), lengths.split(rows), strict=True)
        for old, part, wanted in parts:
            part.mul_(update.scale).add_(old.float())
            self._stretch(part, old.float(), wanted)
            yield self._rounded(name, part)

    def cast(self, name: str, tensor: torch.Tensor) -> Iterator[memoryview]:
        """`tensor` in another dtype.

        Raises:
            StudioError: ``publish.overflows_fp16``.
        """
        for part in tensor.reshape(-1).split(_BLOCK):
            yield self._rounded(name, part)

    @staticmethod
    def _rows(weight: torch.Tensor) -> int:
        return max(1, _BLOCK // int(weight.shape[1]))

    def _stretch(self, part: torch.Tensor, old: torch.Tensor, lengths: torch.Tensor) -> None:
        # DoRA: each row of the sum gets the length that was trained, then goes its part of the way from the base's.
        part.mul_((lengths / torch.linalg.norm(part, dim=1)).view(-1, 1))
        if self.added != 1.0:
            part.sub_(old).mul_(self.added).add_(old)

    def _factor(self, key: str) -> torch.Tensor:
        factor = tensor_in(self.factors, self.adapter.shard.entries[key]).float()
        if not bool(factor.isfinite().all()):
            raise StudioError("publish.adapter_broken", key=key)
        return factor

    def _rounded(self, name: str, part: torch.Tensor) -> memoryview:
        new = part.to(self.dtype, copy=True)  # it is still being written when the next matrix takes the buffer
        # fp16 ends at 65,504; bf16 and fp32 hold whatever a base and a finite change add up to.
        if self.dtype == torch.float16 and not bool(new.isfinite().all()):
            raise StudioError("publish.overflows_fp16", tensor=name)
        return bytes_of(new)
