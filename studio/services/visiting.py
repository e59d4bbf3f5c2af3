"""What a visitor can do: talk to shared models at a measured pace, and read shared reports."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from studio.auth import OWNER, for_everyone
from studio.chat.requests import Message, Sampling
from studio.errors import StudioError
from studio.services import chat, reports
from studio.services.chat import Board, Column
from studio.services.reports import Report
from studio.services.studio import Studio

QUESTIONS, QUESTION_SECONDS = 10, 300.0
"""Questions a visitor may ask within so many seconds; each holds the device for up to half a minute on a processor."""
LETTERS = 8_000
"""Of a whole conversation; a chat engine would otherwise read a visitor's million letters before it refuses them."""
ANSWER_TOKENS = 256
_KNOWN = 10_000


@dataclass
class Pace:
    """How often each visitor has asked lately; only the last `_KNOWN` visitors are remembered."""

    _asked: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def ask(self, visitor: str) -> None:
        """Count a question.

        Raises:
            StudioError: ``visit.too_fast`` with the `seconds` to wait.
        """
        now = time.monotonic()
        with self._lock:
            times = self._asked.setdefault(visitor, deque())
            self._asked.move_to_end(visitor)
            while len(self._asked) > _KNOWN:
                self._asked.popitem(last=False)
            while times and times[0] < now - QUESTION_SECONDS:
                times.popleft()
            if len(times) >= QUESTIONS:
                raise StudioError("visit.too_fast", seconds=round(times[0] + QUESTION_SECONDS - now) + 1)
            times.append(now)


@for_everyone
def models(studio: Studio) -> list[str]:
    """References of the models that the owner shares, as far as they are still there."""
    owner = _owner(studio)
    there = {*chat.bases(owner), *chat.adapted(owner)}
    return [name for name in studio.shares.names("model") if name in there]


@for_everyone
def base_of(studio: Studio, reference: str) -> str:
    """The base to show beside a shared model; the model itself if it is one.

    Raises:
        StudioError: ``visit.nothing_shared``, ``visit.not_shared``.
    """
    if reference not in _shared_models(studio):
        raise StudioError("visit.not_shared")
    return chat.base_of(_owner(studio), reference)


@for_everyone
def talk(
    studio: Studio, pace: Pace, visitor: str, columns: Sequence[Column], prompt: str, sampling: Sampling, *, name: str
) -> Iterator[Board]:
    """As :func:`studio.services.chat.talk`, for shared models and their bases, at most `ANSWER_TOKENS` long.

    Args:
        studio: The studio.
        pace: Of all visitors.
        visitor: Who asks, as the pace counts.
        columns: As in a chat.
        prompt: What the visitor says.
        sampling: As chosen.
        name: What `stop` calls the answers.

    Raises:
        StudioError: ``visit.nothing_shared``, ``visit.no_choice``, ``visit.not_shared``, ``visit.too_long``,
            ``visit.too_fast``, and what a chat raises.
    """
    allowed = _shared_models(studio)
    if not columns:
        raise StudioError("visit.no_choice")
    allowed |= {base_of(studio, reference) for reference in allowed}
    if any(column.reference not in allowed for column in columns):
        raise StudioError("visit.not_shared")
    said: list[Message] = [message for column in columns for message in column.messages]
    if len(prompt) + sum(len(message.content) for message in said) > LETTERS:
        raise StudioError("visit.too_long", letters=LETTERS)
    pace.ask(visitor)
    short = sampling.model_copy(update={"max_new_tokens": min(sampling.max_new_tokens, ANSWER_TOKENS)})
    yield from chat.talk(_owner(studio), columns, prompt, short, name=name)


@for_everyone
def stop(studio: Studio, name: str) -> int:
    """Stop the answers called `name`."""
    return chat.stop(_owner(studio), name)


@for_everyone
def shared_reports(studio: Studio) -> list[str]:
    """Runs whose reports the owner shares."""
    return studio.shares.names("report")


@for_everyone
def report(studio: Studio, run: str) -> Report:
    """A shared report.

    Raises:
        StudioError: ``visit.not_shared``.
    """
    if run not in studio.shares.names("report"):
        raise StudioError("visit.not_shared")
    return reports.of_run(_owner(studio), run)


def _shared_models(studio: Studio) -> set[str]:
    """What a visitor may talk to; the page's list may be older than the owner's last word."""
    names = set(studio.shares.names("model"))
    if not names:
        raise StudioError("visit.nothing_shared")
    return names


def _owner(studio: Studio) -> Studio:
    """The studio as the owner's own services need it, once what a visitor may do is settled."""
    return replace(studio, caller=OWNER)
