"""One base model in memory once, and any number of sides over it: the base itself and its adapters."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from studio.chat.adapters import Adapters
from studio.chat.answers import Answer, Interrupted
from studio.chat.events import Event, Finished, Piece, Refused
from studio.chat.requests import Message, Quantisation, Request, Sampling
from studio.chat.sides import Side, stop_tokens
from studio.chat.words import Tables
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import ModelFiles
from studio.models.load import load_base

MOST_SIDES = 8  # old checkpoints that nobody asks for any more would pile up in memory


def _silent(share: float, note: str) -> None:
    pass


def _never() -> bool:
    return False


class Engine:
    """Answers for several sides at once, a token each in turn, with the weights of the base in memory once.

    The base side is the same weights with every adapter off and the base's own tokenizer: its greedy answers are,
    token for token, those of the untouched model's ``generate``. Nothing is batched. Not safe for threads: one caller
    at a time, which the server sees to.

    Args:
        locate: Finds the files behind a model reference.
    """

    def __init__(self, locate: Callable[[str], ModelFiles]) -> None:
        self._locate = locate
        self._base: ModelFiles | None = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._adapters: Adapters | None = None
        self._tables: Tables | None = None
        self._weights = 0
        self._quantisation: Quantisation = "none"
        self._sides: dict[str, Side] = {}  # the one used longest ago comes first

    @property
    def base(self) -> str | None:
        """Reference of the base in memory."""
        return self._base.base if self._base else None

    @property
    def sides(self) -> tuple[str, ...]:
        """References that answer without loading anything."""
        return tuple(self._sides)

    @property
    def device(self) -> str | None:
        return str(self._model.device) if self._model is not None else None

    @property
    def model(self) -> Any:
        """The base in memory, None before the first `open`."""
        return self._model

    @property
    def quantisation(self) -> Quantisation | None:
        """How the base in memory is held."""
        return self._quantisation if self._base else None

    @property
    def weights(self) -> int:
        """Bytes of all weights in memory, those that several modules share counted once."""
        return self._weights

    def open(self, references: Sequence[str], *, progress: Progress = _silent) -> None:
        """Make every one of `references` ready; sides that are open already cost nothing.

        A base other than the one in memory takes its place.

        Raises:
            StudioError: ``chat.no_sides``; ``chat.other_base`` when the references have different bases;
                ``chat.bad_adapter``; and what locating and loading a model raises.
        """
        if not references:
            raise StudioError("chat.no_sides")
        first = self._locate(references[0])
        for index, reference in enumerate(references):
            progress(index / len(references), "progress.chat.load")
            self._open_side(reference, first, None)
        self._drop_old(set(references))
        progress(1.0, "progress.chat.ready")

    def generate(
        self, requests: Sequence[Request], *, progress: Progress = _silent, stopping: Stopping = _never
    ) -> Iterator[Event]:
        """Answer all `requests`, one token per side in turn, telling each step as an event.

        Sides that are not open are opened. A request that cannot be answered is refused by itself.

        Args:
            requests: Their order numbers the answers.
            progress: Of the loading, if there is any.
            stopping: Looked at before every token, and between layers while a long prompt is read.
        """
        live: list[Answer] = []
        first: ModelFiles | None = None
        for number, request in enumerate(requests):
            try:
                first = first or self._locate(request.side)
                progress(number / len(requests), "progress.chat.load")
                side = self._open_side(request.side, first, request.quantisation)
                answer = Answer(number, side, request, self._model)
            except StudioError as error:
                yield Refused(number, request.side, error.code, error.details)
                continue
            live.append(answer)
        self._drop_old({request.side for request in requests})
        yield from [answer.started() for answer in live]
        while live:
            for answer in list(live):
                if (yield from self._turn(answer, stopping)):
                    live.remove(answer)

    def unload(self) -> None:
        """Let go of the model and everything over it."""
        self._model = self._tokenizer = self._base = self._adapters = self._tables = None
        self._sides.clear()
        self._weights, self._quantisation = 0, "none"
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _turn(self, answer: Answer, stopping: Stopping) -> Generator[Event, None, bool]:
        """One token of one answer; True once it is over."""
        assert self._adapters is not None
        assert self._tables is not None
        self._adapters.use(answer.side.adapter)
        self._tables.use(answer.side.words)
        piece = ""
        reason = answer.reason
        try:
            if stopping():
                raise Interrupted
            piece = answer.step(stopping)
            reason = answer.reason
        except Interrupted:
            piece, reason = answer.close(), "stopped"
        if piece:
            yield Piece(answer.number, piece)
        if reason is not None:
            yield answer.finish(reason)
        return reason is not None

    def _open_side(self, reference: str, first: ModelFiles, quantisation: Quantisation | None) -> Side:
        files = self._locate(reference)
        if files.folder != first.folder:
            raise StudioError("chat.other_base", side=reference, base=files.base, other=first.base)
        wanted = quantisation or self._quantisation
        if self._base is None or self._base.folder != files.folder or self._quantisation != wanted:
            self._load(files, wanted)
        side = self._sides.pop(reference, None)
        if side is not None and side.mark != _mark(files):
            self._close(side)
            side = None
        if side is None:
            side = self._new_side(reference, files)
            self._weights = self._weigh(side)
        self._sides[reference] = side
        return side

    def _load(self, files: ModelFiles, quantisation: Quantisation) -> None:
        self.unload()  # first, or both models would have to fit
        base = replace(files, reference=files.base, tokenizer_folder=files.folder, adapter=None, rows=None)
        self._model, self._tokenizer = load_base(base, four_bits=quantisation == "nf4")
        self._quantisation = quantisation
        self._model.eval()
        self._adapters, self._tables = Adapters(self._model), Tables(self._model)
        self._base = base

    def _new_side(self, reference: str, files: ModelFiles) -> Side:
        assert self._adapters is not None
        tokenizer = self._tokenizer
        if files.tokenizer_folder != files.folder:
            from transformers import PreTrainedTokenizerFast  # as load_base: the class named in a config may resplit

            tokenizer = PreTrainedTokenizerFast.from_pretrained(files.tokenizer_folder, local_files_only=True)
        adapter = _lay(self._adapters, reference, files.adapter) if files.adapter else None
        stops = stop_tokens(tokenizer, self._model.generation_config)
        words = None if files.rows is None or self._tables is None else self._tables.read(files.rows)
        return Side(reference, _mark(files), tokenizer, adapter, stops, words)

    def _weigh(self, newest: Side) -> int:
        """Bytes of the model, its adapters and the rows of all sides."""
        if self._tables is not None:
            self._tables.use(None)
        rows = [side.words.bytes for side in (*self._sides.values(), newest) if side.words is not None]
        return (self._adapters.weights() if self._adapters else 0) + sum(rows)

    def _close(self, side: Side) -> None:
        assert self._adapters is not None
        if side.adapter:
            self._adapters.drop(side.adapter)

    def _drop_old(self, wanted: set[str]) -> None:
        old = [reference for reference in self._sides if reference not in wanted]
        for reference in old[: max(0, len(self._sides) - MOST_SIDES)]:
            self._close(self._sides.pop(reference))


def answer(
    files: ModelFiles, messages: Sequence[Message], sampling: Sampling, quantisation: Quantisation = "none"
) -> Finished:
    """Load `files` in this process, answer once and let go: the command line's ``chat``.

    Raises:
        StudioError: ``chat.empty``, ``chat.too_long``, and what loading raises.
    """
    engine = Engine(lambda _: files)
    try:
        request = Request(side=files.reference, messages=tuple(messages), sampling=sampling, quantisation=quantisation)
        for event in engine.generate([request]):
            if isinstance(event, Refused):
                raise event.as_error()
            if isinstance(event, Finished):
                return event
        raise AssertionError("an answer neither finished nor was refused")
    finally:
        engine.unload()


def _mark(files: ModelFiles) -> tuple[str, ...]:
    """What changes when the files behind a side do: a run's newest checkpoint moves on while it trains."""
    weights = files.adapter / "adapter_model.safetensors" if files.adapter else None
    written = str(weights.stat().st_mtime_ns) if weights and weights.exists() else ""
    return (str(files.tokenizer_folder), str(files.adapter), written)


def _lay(adapters: Adapters, reference: str, folder: Path) -> str:
    from safetensors import SafetensorError

    try:
        return adapters.load(folder)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise StudioError("chat.bad_adapter", side=reference, reason=reason[0]) from error
