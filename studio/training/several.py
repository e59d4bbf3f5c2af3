"""A training on several cards of one machine: the same run from the same recipe, with one process for each card.

The worker stays outside: it starts the processes, hands on what the first of them tells, and ends them all as soon as
one fails. They stay in its process group, and each ends by itself when the worker dies. Each takes its part of every
step (`studio.training.plan.deal`) and holds the whole base, or where that does not fit one card a part of every layer
(`studio.training.divided`); losses are those of one process within rounding, and a run may go on with another number
of processes than it began with.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from studio.device import find_device
from studio.errors import StudioError
from studio.jobs.events import Alarm, HeldOutRow, MetricRow, Progress, Stopping
from studio.models.files import ModelFiles, read_config
from studio.recipes import Recipe
from studio.settings import Settings, show_card
from studio.tokenizer.vocabulary import read_vocabulary
from studio.training import curriculum
from studio.training.alarms import Watch
from studio.training.curriculum import TrainResult
from studio.training.estimate import Base, estimate
from studio.training.journal import Journal
from studio.training.plan import processes
from studio.training.prompts import NEW_TOKENS
from studio.training.ranks import join
from studio.training.words import words_of

LOOK_SECONDS = 0.2  # how soon a Stop is passed on

log = logging.getLogger("studio.training")


@dataclass(frozen=True, slots=True)
class _Order:
    run: Path
    recipe: Recipe
    base: ModelFiles
    settings: Settings
    dtype: torch.dtype | None
    seen: tuple[Watch, Mapping[str, HeldOutRow], Mapping[tuple[int, int], float]] | None
    answer_tokens: int
    divided: bool


def train(
    run: Path,
    recipe: Recipe,
    base: ModelFiles,
    settings: Settings,
    *,
    record: Callable[[MetricRow], None],
    progress: Progress,
    stopping: Stopping,
    dtype: torch.dtype | None = None,
    journal: Journal | None = None,
    answer_tokens: int = NEW_TOKENS,
) -> TrainResult:
    """As `studio.training.curriculum.train`, on as many cards as there are, or in ``settings.processes`` processes.

    Raises:
        StudioError: What the training raises in any process; ``training.card_full`` if the base and a share of a step
            do not fit a card, ``training.cards_full`` if not even a part of each layer does;
            ``training.process_died`` if a process ended without a word.
    """
    cards = torch.cuda.device_count()
    count = processes(recipe, settings.processes or cards)
    if cards > 1:
        log.info("%s of %s cards", count, cards)
    if count == 1:
        if cards > 1:
            show_card(0)  # transformers would spread one batch over all that it sees
        return curriculum.train(
            run, recipe, base, settings,
            record=record, progress=progress, stopping=stopping, dtype=dtype, journal=journal,
            answer_tokens=answer_tokens,
        )  # fmt: skip
    seen = None if journal is None else (journal.watch, journal.base, journal.scores)
    divided = is_divided(run, recipe, base, settings, count)
    if divided:
        log.info("the layers of the base are divided among %s processes", count)
    order = _Order(run, recipe, base, settings, dtype, seen, answer_tokens, divided)
    with tempfile.TemporaryDirectory() as folder, _Crew(count, order, Path(folder) / "meeting") as crew:
        return crew.follow(record, progress, stopping, journal)


def is_divided(run: Path, recipe: Recipe, base: ModelFiles, settings: Settings, count: int) -> bool:
    if settings.divide is not None:
        return settings.divide and recipe.quantisation == "none"
    try:
        anatomy = Base.of_config(read_config(base.folder))
    except StudioError as error:
        log.info("whether the base fits one card is not known: %s", error)
        return False
    folder = words_of(run)
    new_rows = 0 if folder is None else read_vocabulary(folder).added
    found = estimate(recipe, anatomy, find_device(settings.workspace), new_rows=new_rows, cards=count)
    return found.parts > 1


class _Crew:
    """The processes of one training; leaving the block ends them."""

    def __init__(self, count: int, order: _Order, meeting: Path) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process that has threads may hang
        self._lines: list[Connection] = []
        self._ranks = []
        for number in range(count):
            ours, theirs = context.Pipe()
            rank = context.Process(target=_rank, args=(number, count, str(meeting), theirs, order), daemon=True)
            rank.start()
            theirs.close()
            self._lines.append(ours)
            self._ranks.append(rank)

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for rank in self._ranks:
            rank.kill()
        for rank in self._ranks:
            rank.join()

    def follow(
        self,
        record: Callable[[MetricRow], None],
        progress: Progress,
        stopping: Stopping,
        journal: Journal | None,
    ) -> TrainResult:
        """Hand on what the first process tells until it is done, or raise what went wrong in any."""
        told = False
        while True:
            if not told and stopping():
                self._lines[0].send("stop")
                told = True
            for line in wait(self._lines, LOOK_SECONDS):
                match self._hear(self._lines.index(line)):  # type: ignore[arg-type]  # they are our connections
                    case MetricRow() as row:
                        record(row)
                    case HeldOutRow() as figure if journal is not None:
                        journal.held_out(figure)
                    case Alarm() as alarm if journal is not None:
                        journal.alarm(alarm)
                    case (float() as fraction, str() as note):
                        progress(fraction, note)
                    case TrainResult() as result:
                        return result
                    case Exception() as error:
                        raise error

    def _hear(self, number: int) -> object:
        try:
            return self._lines[number].recv()
        except (EOFError, ConnectionError):
            self._ranks[number].join()
            status = self._ranks[number].exitcode
            raise StudioError("training.process_died", process=number + 1, status=status) from None


def _rank(number: int, count: int, meeting: str, line: Connection, order: _Order) -> None:
    worker = multiprocessing.parent_process()
    assert worker is not None

    def end_with_worker() -> None:
        worker.join()
        os._exit(1)  # the main thread may be waiting for the others

    threading.Thread(target=end_with_worker, daemon=True).start()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)  # the worker hears them, and passes Stop on
    _speak_as(f"{number + 1}/{count}")
    try:
        result = _take_part(number, count, meeting, line, order)
        if number == 0:
            line.send(result)
    except Exception as error:  # the border of this process: the worker says it to the user
        log.exception("process %s of %s", number + 1, count)
        line.send(_sendable(error, divided=order.divided))
    # Leaving would break the lines between the processes, and the others would tell of that instead.
    worker.join()


def _speak_as(name: str) -> None:
    warnings.simplefilter("ignore", FutureWarning)  # libraries about each other, as in the worker
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(message)s", stream=sys.stderr)
    # It takes us for a launch of its own that went wrong, and advises a user to use another command.
    logging.getLogger("transformers.training_args").addFilter(
        lambda record: "parallel_mode" not in record.getMessage()
    )


def _take_part(number: int, count: int, meeting: str, line: Connection, order: _Order) -> TrainResult:
    if torch.cuda.device_count() > 1:
        show_card(number)
    elif not torch.cuda.is_available():
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    first = number == 0
    return curriculum.train(
        order.run,
        order.recipe,
        order.base,
        order.settings,
        record=line.send if first else lambda row: None,
        progress=(lambda fraction, note: line.send((float(fraction), note))) if first else lambda fraction, note: None,
        stopping=line.poll if first else lambda: False,  # nothing but Stop ever comes from the worker
        dtype=order.dtype,
        journal=_journal(order, line, first=first),
        ranks=join(number, count, meeting, divided=order.divided),
        answer_tokens=order.answer_tokens,
    )


def _journal(order: _Order, line: Connection, *, first: bool) -> Journal | None:
    """Of the first process the worker's; of the others one that keeps nothing, where they have to measure with it."""
    if order.seen is None or not (first or order.divided):
        return None
    tell = line.send if first else lambda _: None
    return Journal(tell, tell, *order.seen)


def _sendable(error: Exception, *, divided: bool) -> Exception:
    if isinstance(error, StudioError | MemoryError | OSError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return StudioError("training.cards_full" if divided else "training.card_full")
    return StudioError("job.unexpected", reason=f"{type(error).__name__}: {error}")
