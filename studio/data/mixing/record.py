"""What a mix was made of, as its manifest keeps it and the command line tells it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from studio.data.mixing.order import Order


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """What one dataset gave.

    Attributes:
        dataset: Its name.
        sha256: Hash of its samples at the time.
        licence: Its licence; None if unknown.
        rows: Rows of the mix that come from it.
        tokens: Their tokens.
        characters: Their characters.
        share: Share of the mix's tokens, 0 to 1.
        passes: How many times the dataset was gone through; below 1 a part of it was taken.
        ran_out: Whether it had nothing more to give.
    """

    dataset: str
    sha256: str
    licence: str | None
    rows: int
    tokens: int
    characters: int
    share: float
    passes: float
    ran_out: bool


class Mixed(_Strict):
    """How a dataset was mixed of others.

    Attributes:
        part: Whether it is the mix itself or what was held out of it.
        sibling: Name of the other one, if rows were held out.
        order: What was asked for.
        tokens: Tokens of its texts, without special tokens and marks of a chat template.
        sources: What each source gave, in the order asked for.
    """

    part: Literal["mix", "held_out"]
    sibling: str | None
    order: Order
    tokens: int
    sources: list[Part]


def join_licences(licences: dict[str, str | None]) -> str | None:
    """The licences of several datasets in one line, with the datasets of unknown licence named; None if none is known.

    Args:
        licences: Licence, or None, by the name of the dataset.
    """
    known = list(dict.fromkeys(licence for licence in licences.values() if licence))
    unknown = [name for name, licence in licences.items() if not licence]
    if not known:
        return None
    return ", ".join(known) + (f"; unknown: {', '.join(unknown)}" if unknown else "")
