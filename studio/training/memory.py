"""Memory of this process: how much it holds, and how much it held at most."""

from __future__ import annotations

import psutil
import torch

from studio.memory import peak_memory


def memory_now(*, cuda: bool) -> int:
    """Bytes: the most that was allocated on CUDA, else what is resident now."""
    return int(torch.cuda.max_memory_allocated()) if cuda else int(psutil.Process().memory_info().rss)


def memory_peak(*, cuda: bool) -> int:
    """Bytes held at most so far, on CUDA or resident."""
    if cuda:
        return int(torch.cuda.max_memory_allocated())
    return peak_memory()
