"""What a running job tells the rest of the studio: progress, a row of metrics per step, held-out figures, alarms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and the locale key of a short note, such as ``progress.fetch.download``."""

Stopping = Callable[[], bool]
"""True once somebody asked the job to stop."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One optimizer step as the pages plot it.

    `time` is Unix seconds. `tokens` and `characters` count the whole run so far, padding left out. `memory` is bytes:
    resident on a CPU, ``max_memory_allocated`` on CUDA. `grad_norm` is of the LoRA matrices, `grad_norm_new` of the
    new vocabulary rows. `energy` is joules since the run began, repeated steps left out; None where nothing tells it.
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
    energy: float | None = None


BASE_STAGE = -1
"""The stage under which held-out figures of the base itself stand: its own tokenizer, nothing learnt yet."""


@dataclass(frozen=True, slots=True)
class HeldOutRow:
    """What a run scored on one language's held-out texts after `step` steps of `stage`.

    `stage` is `BASE_STAGE` for the base; `step` 0 of stage 0 is the model before its first step, with the start rows
    of a new vocabulary. `loss` is nats per token, so it compares only within one tokenizer; `bits_per_byte` compares
    always. `tokens` were scored, `bytes` are UTF-8; `time` is Unix seconds.
    """

    stage: int
    step: int
    language: str
    bits_per_byte: float
    loss: float
    tokens: int
    bytes: int
    time: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something to look at; `kind` is one of `studio.training.alarms.KINDS`, `details` fill its sentence."""

    stage: int
    step: int
    kind: str
    time: float
    details: dict[str, Any] = field(default_factory=dict)
