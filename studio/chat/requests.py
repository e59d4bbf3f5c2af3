"""What one side of the chat is asked: the conversation so far and how to sample the answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LONGEST_ANSWER = 8192


class _Strict(BaseModel):
    # A misspelt key would quietly sample with a default, and two sides would no longer be comparable.
    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(_Strict):
    """One turn of a conversation, as chat templates take it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(_Strict):
    """How the next token is chosen; the same `seed` and settings give the same answer again.

    Greedy takes the likeliest token always, and then temperature, `top_p`, `top_k` and `seed` have no effect.
    ``top_k = 0`` and ``top_p = 1`` switch that limit off. Without a `repetition_penalty` the model's own
    ``generation_config.json`` decides, so that greedy answers equal plain ``generate``.
    """

    greedy: bool = False
    temperature: float = Field(default=0.7, gt=0, le=5)
    top_p: float = Field(default=0.95, gt=0, le=1)
    top_k: int = Field(default=50, ge=0)
    repetition_penalty: float | None = Field(default=None, gt=0, le=3)
    max_new_tokens: int = Field(default=512, ge=1, le=LONGEST_ANSWER)
    seed: int = Field(default=3407, ge=0, lt=2**63)


NAMED: Mapping[str, Sampling] = MappingProxyType(
    {
        "careful": Sampling(greedy=True),
        "balanced": Sampling(),
        "lively": Sampling(temperature=1.0, top_p=0.98, top_k=0),
        # As the technical report on Gemma-3n-4B Persian (August 2025) talks to its model.
        "report": Sampling(temperature=0.1, top_p=0.95, top_k=64, max_new_tokens=500),
    }
)
"""Settings with a name; the length belongs to a name only where it says one."""


Quantisation = Literal["none", "nf4"]


class Request(_Strict):
    """One answer wanted: `side` is a model reference, and the last of `messages` is the user's.

    `quantisation` is how the base shall be held, for all sides; None leaves it as it is in memory.
    """

    side: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    quantisation: Quantisation | None = None
