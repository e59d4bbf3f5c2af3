"""start.json in a vocabulary's folder: how each way to start the new rows did, right after it, before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

FILE = "start.json"

Method = Literal["random", "mean", "weighted", "last", "distilled", "fitted"]
METHODS: tuple[Method, ...] = get_args(Method)
ENGLISH_LIMIT = 0.005
"""Share of the base's English bits per byte that a start may lose and still be chosen by itself."""


class Started(BaseModel):
    """One way to start: bits per byte on held-out Persian and English with the extended tokenizer.

    `tokens` of the corpus were read to make the rows. Persian is scored with the new tokens in place, so a start that
    keeps English by making them impossible is seen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method
    fa: float
    en: float
    tokens: int
    seconds: float


class Starts(BaseModel):
    """What start.json says: the base's own bits per byte, those of every start that was tried, and the chosen one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str
    base_fa: float
    base_en: float
    bytes_fa: int
    bytes_en: int
    starts: list[Started]
    chosen: Method

    @property
    def kept(self) -> Started:
        """The start whose rows are in new_rows.safetensors."""
        return next(start for start in self.starts if start.method == self.chosen)


def pick(starts: list[Started], base_en: float) -> Method:
    """The least Persian bits per byte among the starts that keep English; where none does, the least English."""
    keeping = [start for start in starts if start.en <= base_en * (1 + ENGLISH_LIMIT)]
    best = min(keeping, key=lambda start: start.fa) if keeping else min(starts, key=lambda start: start.en)
    return best.method


def write_starts(folder: Path, starts: Starts) -> None:
    """Write start.json."""
    (folder / FILE).write_text(starts.model_dump_json(indent=2) + "\n", encoding="utf8")


def read_starts(folder: Path) -> Starts | None:
    """What start.json in `folder` says; None where no start has been measured."""
    try:
        return Starts.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
