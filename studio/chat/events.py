"""What the chat process tells while it works, in the order it happens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from studio.errors import StudioError

Reason = Literal["end", "length", "context", "stopped"]
"""Why an answer is over: the model ended its turn, `max_new_tokens`, the model's context is full, or Stop."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody else is served first: `position` people before us, while `holder` has the device from all of them."""

    position: int
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Loading:
    """Share (0 to 1) of the model that is ready, and the locale key of a short note."""

    share: float
    note: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The sides are ready; `memory` is what the process holds, in bytes."""

    sides: tuple[str, ...]
    device: str
    memory: int


@dataclass(frozen=True, slots=True)
class Started:
    """Answer number `answer` (index of its request) begins.

    Of `prompt_tokens`, `kept_tokens` were still in the cache from the turn before. Without a chat template
    (`template` false) the model merely continues the text.
    """

    answer: int
    side: str
    prompt_tokens: int
    kept_tokens: int
    template: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """More text of one answer: whole characters only, special tokens left out."""

    answer: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """One answer is over.

    `tokens` counts what the model produced, its end-of-turn token included. `seconds` is this side's own computing,
    prompt included, since sides take turns token by token; both rates divide by it, and `first_token_seconds` is the
    part of it before the first token.
    """

    answer: int
    side: str
    text: str
    reason: Reason
    tokens: int
    seconds: float
    first_token_seconds: float
    tokens_per_second: float
    characters_per_second: float


@dataclass(frozen=True, slots=True)
class Refused:
    """One answer cannot be given (a prompt that is too long, a checkpoint that is gone); the others go on."""

    answer: int
    side: str
    error: str
    details: dict[str, Any]

    def as_error(self) -> StudioError:
        return StudioError(self.error, **self.details)


Event = Waiting | Loading | Opened | Started | Piece | Finished | Refused
_NAMES: dict[str, type[Event]] = {
    "waiting": Waiting,
    "loading": Loading,
    "opened": Opened,
    "started": Started,
    "piece": Piece,
    "finished": Finished,
    "refused": Refused,
}


def event_as_json(event: Event) -> dict[str, Any]:
    """`event` as one line of the protocol, its name under ``event``."""
    return {"event": type(event).__name__.lower(), **asdict(event)}


def event_from_json(line: dict[str, Any]) -> Event:
    """The event that `event_as_json` wrote.

    Raises:
        ValueError: If the line is no event of ours.
    """
    values = dict(line)
    name = values.pop("event", None)
    if name not in _NAMES:
        raise ValueError(f"unknown event {name!r}; known: {', '.join(_NAMES)}")
    if "sides" in values:
        values["sides"] = tuple(values["sides"])
    return _NAMES[name](**values)
