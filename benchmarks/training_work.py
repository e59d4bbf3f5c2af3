"""The work that `training_speed` measures: which chats, as which token ids, in which batches, and what is counted."""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROWS, LENGTH, BATCH, RANK, ALPHA, RATE = 96, 512, 2, 8, 32, 2e-4
SHORTEST, LONGEST = 200, 900  # characters of a chat
MEASURED = 44  # sample chats, the first of the file: those of the earlier measurements, so that figures compare

Clock = tuple[float, float]
Mark = tuple[Clock, int, int]
"""The clock after a step, and the tokens and characters seen until then."""


def read_chats(path: Path | None) -> list[list[dict[str, str]]]:
    """Chats of the wanted length, always the same ones: from `path`, else the first of the studio's sample chats."""
    lines = None
    if path is None:
        lines = MEASURED
        path = ROOT / "assets" / "samples" / "chats.jsonl"
    with gzip.open(path, "rt", encoding="utf8") if path.suffix == ".gz" else path.open(encoding="utf8") as file:
        chats = [json.loads(line)["messages"] for line in islice(file, lines)]
    fitting = [chat for chat in chats if SHORTEST <= sum(len(turn["content"]) for turn in chat) <= LONGEST]
    random.Random(0).shuffle(fitting)
    return list(islice(cycle(fitting or chats), ROWS))


def make_work(
    options: argparse.Namespace, dtype: Any, vocabulary: Path | None = None
) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
    """The model (frozen, nothing on it), the rows of `vocabulary` in it or None, the tokenizer and the rows to learn.

    A row has ``input_ids``, ``labels`` and ``characters``, the last those of the text that its ids spell.
    """
    from studio.data.sample import Chat, Message
    from studio.models.files import locate
    from studio.models.load import load_base
    from studio.models.template import ChatTemplate, mask_answers
    from studio.settings import load_settings
    from studio.training.words import open_words

    base = locate(options.model, load_settings(options.workspace))
    files = base if vocabulary is None else replace(base, tokenizer_folder=vocabulary)
    model, tokenizer = load_base(files, device="cpu", dtype=dtype)
    words = None if vocabulary is None else open_words(vocabulary, base, model, whole=False)
    template = ChatTemplate.of_tokenizer(tokenizer)
    rows = []
    for chat in read_chats(Path(options.rows) if options.rows else None):
        rendered = template.render(Chat(tuple(Message(turn["role"], turn["content"]) for turn in chat)))  # type: ignore[arg-type]
        assert rendered is not None, chat
        encoded = tokenizer(rendered.text, add_special_tokens=False, return_offsets_mapping=True)
        ids = encoded["input_ids"]
        labels = mask_answers(ids, encoded["offset_mapping"], rendered.answers)
        characters = encoded["offset_mapping"][:LENGTH][-1][1]
        rows.append({"input_ids": ids[:LENGTH], "labels": labels[:LENGTH], "characters": characters})
    return model, words, tokenizer, rows


def batches(rows: int, steps: int) -> Iterator[tuple[int, ...]]:
    """Row numbers of each step, from the first row on and round again."""
    numbers = cycle(range(rows))
    for _ in range(steps):
        yield tuple(islice(numbers, BATCH))


def read_clock() -> Clock:
    """Seconds on the wall and seconds of processor time: the second hardly depends on who else is at work here."""
    return time.perf_counter(), time.process_time()


def figures(first: Mark, last: Mark, peak: int, loss: float | None) -> dict[str, float]:
    """What happened between two marks, a second."""
    (begin, tokens, characters), (end, all_tokens, all_characters) = first, last
    tokens, characters = all_tokens - tokens, all_characters - characters
    seconds, processor = end[0] - begin[0], end[1] - begin[1]
    return {
        "tokens_per_second": tokens / seconds,
        "tokens_per_processor_second": tokens / processor,
        "characters_per_second": characters / seconds,
        "characters_per_processor_second": characters / processor,
        "tokens": tokens,
        "seconds": seconds,
        "peak_memory_bytes": peak,
        "last_loss": float("nan") if loss is None else loss,
    }
