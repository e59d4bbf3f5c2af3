"""What a running job tells the rest of the studio: progress, and one row of metrics per step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and the locale key of a short note, such as ``progress.fetch.download``."""

Stopping = Callable[[], bool]
"""True once somebody asked the job to stop."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One optimizer step as the pages plot it.

    `time` is Unix seconds. `tokens` and `characters` count the whole run so far, padding left out. `memory` is bytes:
    resident on a CPU, ``max_memory_allocated`` on CUDA. `grad_norm` is of the LoRA matrices, `grad_norm_new` of the
    new vocabulary rows.
    """

    stage: int
    step: int
    time: float
    loss: float | None
    grad_norm: float | None
    grad_norm_new: float | None
    learning_rate: float | None
    tokens: int
    characters: int
    tokens_per_second: float | None
    characters_per_second: float | None
    memory: int | None
