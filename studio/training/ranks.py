"""Processes that train one model together: each takes a part of every step, and all of them take the same step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from studio.jobs.events import Stopping

BUCKET = 25_000_000
"""Elements (100 MB) that are sent at once: a LoRA of rank 16 in one go, whole tables without a second copy."""
PATIENCE = timedelta(days=7)
"""Followers wait for as long as the first tokenises or answers; who starts them sees whether one has died."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process, `number` of `count`; the first alone writes files and is asked whether to stop.

    With a base that is `divided` among them, all take part in whatever goes through the model.
    """

    number: int = 0
    count: int = 1
    divided: bool = False

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.number == 0

    @property
    def computes(self) -> bool:
        """Whether this process is needed for what the first alone will tell: sample answers, held-out texts."""
        return self.first or self.divided

    def total(self, *values: float) -> list[float]:
        """Each of `values` summed over all processes, in fp64; every process must ask at the same moment."""
        if self.count == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return [float(value) for value in sums]

    def meet(self) -> None:
        """Wait until every process has come here."""
        self.total(0.0)

    def agreed(self, stopping: Stopping) -> Stopping:
        """The first one's `stopping` as the answer of all, so that none waits for a step that others do not take."""
        return lambda: self.total(float(self.first and stopping()))[0] > 0

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Put into every gradient its sum over all processes; before clipping, once an optimizer step.

        torch's ``DistributedDataParallel`` reduces while its own ``forward`` runs backward, and the loss goes round
        it: it asks the body for hidden states and makes no logits for tokens without a label. Summing afterwards is
        exact, knows nothing of how the loss was made, and what learns here is small: a LoRA of rank 16 on 7B weights
        is 160 MB beside gigabytes of activations. The loss is divided by the labelled tokens of all processes, so
        a sum is right where an average would weigh short answers more.
        """
        if self.count == 1:
            return
        for bucket in _buckets(parameters):
            if len(bucket) == 1:
                dist.all_reduce(bucket[0])
                continue
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            dist.all_reduce(flat)
            for gradient, part in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
                gradient.copy_(part.view_as(gradient))


ALONE = Ranks()


def join(number: int, count: int, meeting: str, *, divided: bool = False) -> Ranks:
    """Meet the other processes through the file `meeting`; what lies on cards then goes by NCCL, the rest by gloo."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=number, world_size=count, timeout=PATIENCE)
    return Ranks(number, count, divided)


def _buckets(parameters: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket, filled = list[Tensor](), 0
    for parameter in parameters:
        if parameter.grad is None:  # all must send the same, even where a batch of one of them touched nothing
            parameter.grad = torch.zeros_like(parameter)
        if bucket and filled + parameter.numel() > BUCKET:
            yield bucket
            bucket, filled = [], 0
        bucket.append(parameter.grad)
        filled += parameter.numel()
    if bucket:
        yield bucket
