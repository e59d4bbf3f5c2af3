"""First come, first served: who may use the engine now, and how many are before you."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from studio.jobs.events import Stopping

CHECK_SECONDS = 0.1  # how soon somebody who leaves the queue is noticed


class Turns:
    """A queue of threads for one engine."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    def __len__(self) -> int:
        """How many are served or wait."""
        return len(self._queue)

    def take(self, told: Callable[[int], None], stopping: Stopping) -> object | None:
        """Wait until it is our turn.

        Args:
            told: Called with the number of people before us, each time it changes.
            stopping: Gives up the wait once true.

        Returns:
            What `give_back` wants, or None if the wait was given up.
        """
        ticket = object()
        last = 0
        with self._changed:
            self._queue.append(ticket)
        try:
            while True:
                with self._changed:
                    position = self._queue.index(ticket)
                    if position == 0:
                        return ticket
                if stopping():
                    break
                if position != last:
                    told(position)
                    last = position
                with self._changed:
                    if self._queue.index(ticket) == position:
                        self._changed.wait(CHECK_SECONDS)
        except BaseException:
            self.give_back(ticket)
            raise
        self.give_back(ticket)
        return None

    def give_back(self, ticket: object) -> None:
        """Let the next one in."""
        with self._changed:
            with suppress(ValueError):
                self._queue.remove(ticket)
            self._changed.notify_all()
