"""A few processes that share work; they leave when the one that started them is gone, however it went."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.memory import peak_memory

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST = 4
_ASK_SECONDS = 0.5


def usable_cores() -> int:
    """Cores this process may use, `MOST` at most."""
    return min(MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def share_out(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    processes: int,
    stopping: Stopping,
    peaks: list[int],
) -> Iterator[Result]:
    """Results of `function` for all `tasks` as they become ready; each process has one task at a time.

    Args:
        function: A function of a module, as other processes import it.
        tasks: What it is called with; each travels through a pipe, so they name texts rather than carry them.
        processes: How many work; one works in this process.
        stopping: Asked twice a second.
        peaks: Receives the most bytes that each process held.

    Raises:
        StudioError: ``job.stopped``, or what `function` raised.
        RuntimeError: Any other fault of `function`, with its trace, or a process that was killed.
    """
    if min(processes, len(tasks)) < 2:
        for task in tasks:
            if stopping():
                raise StudioError("job.stopped")
            yield function(task)
        return
    # Not a pool of the library: its workers hold both ends of their queue, and would wait for ever after a kill -9.
    context = get_context("spawn")
    left = iter(tasks)
    lines: list[Connection] = []
    crew = []
    try:
        for _ in range(min(processes, len(tasks))):
            ours, theirs = context.Pipe()
            crew.append(context.Process(target=_serve, args=(theirs, function), daemon=True))
            crew[-1].start()
            theirs.close()
            lines.append(ours)
            ours.send(next(left))
        yield from _collect(lines, left, stopping, peaks)
    finally:
        for line in lines:
            line.close()
        for process in crew:
            process.join(timeout=1)
            process.kill()
            process.join()


def _collect(lines: list[Connection], left: Iterator[Task], stopping: Stopping, peaks: list[int]) -> Iterator[Result]:
    busy = list(lines)
    while busy:
        if stopping():
            raise StudioError("job.stopped")
        for line in wait(busy, timeout=_ASK_SECONDS):
            assert isinstance(line, Connection)
            try:
                result, error = line.recv()
            except EOFError as lost:
                raise RuntimeError(
                    "a process that cleans was ended from outside, perhaps for want of memory"
                ) from lost
            if isinstance(error, StudioError):
                raise StudioError(error.code, **error.details)
            if error is not None:
                raise RuntimeError(error)
            task = next(left, None)
            line.send(task)
            if task is None:
                peaks.append(line.recv())
                busy.remove(line)
            yield result


def _serve(line: Connection, function: Callable[[Task], Result]) -> None:
    try:
        while (task := line.recv()) is not None:
            try:
                line.send((function(task), None))
            except StudioError as error:
                line.send((None, _Bare(error.code, **error.details)))
            except Exception:
                line.send((None, traceback.format_exc()))
        line.send(peak_memory())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is left to work for


class _Bare(StudioError):
    """A `StudioError` that survives a pipe: exceptions are rebuilt from positional arguments only."""

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.code, self.details)


def _rebuild(code: str, details: dict[str, object]) -> StudioError:
    return StudioError(code, **details)
