"""Held-out texts scored while a run goes on: what it has gained in Persian and lost in English so far.

A figure is that of the model as it then is, with its adapter, its new rows and, where it has them, its four bits. All
are computed in fp32 (see `in_fp32`), at checkpoints as at the end of a stage, so that ``bits --model run:ID`` on the
same texts repeats them; only where the largest module does not fit in memory once more are they in the precision of
the training, 0.2 to 0.7% too high in bf16. A base in four bits is measured in four bits here, and whole by ``bits``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from studio.data.manifest import read_manifest
from studio.data.sample import Pair, Sample
from studio.data.script import persian_share
from studio.data.starters import held_out_lines
from studio.data.stored import plain_text, read_samples
from studio.errors import StudioError
from studio.evaluation.bits import WINDOW, Encode, bits_per_byte
from studio.jobs.events import BASE_STAGE, HeldOutRow, Stopping
from studio.models.files import ModelFiles, document_start
from studio.models.tokenizer import load_tokenizer
from studio.recipes import Recipe
from studio.settings import Settings
from studio.training import attention
from studio.training.alarms import english_lost
from studio.training.journal import Journal
from studio.training.precision import can_widen, in_fp32
from studio.training.words import Words

LANGUAGES = ("fa", "en")
SAMPLE_BYTES = {"fa": 6_000, "en": 10_000}
"""How much of each language is scored: about 3,500 and 2,400 tokens of the starter model.

Between the base and a run whose Persian fell by 14.8% and whose English by 1.5%, 8 Persian and 16 English stories tell
that difference to 0.8% and 0.7% of the base's figure (one standard error over stories; 12 Persian ones: 0.7%).
"""

FULL_TOKENS = 60_000
"""A run that trains on fewer is measured on less text, in proportion and at least `LEAST`: measuring all of it costs
as much as training on its 6,000 tokens, twice in a run of one stage."""
LEAST = 0.2

SHARE = 0.05  # of the time since the last measuring that it may have taken, for checkpoints to be measured
AT_ONCE = 512  # tokens: no more than a step of training holds anyway


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A tokenizer, and how many of the model's ids are its own (None: all)."""

    encode: Encode
    ids: int | None = None


class HeldOut:
    """Measures one run, and writes what it finds into its journal.

    Args:
        model: The `PeftModel` that is being trained.
        words: The run's vocabulary; None without one.
        base: The base's files.
        texts: Documents by language.
        journal: Gets every figure, and the alarm that English is lost.
        english_limit: Share of the base's English bits per byte that may be lost.
        stopping: Ends a measuring that is not the last of its stage.
        agreed: Makes one answer of what several processes would answer, where they measure together.
    """

    def __init__(
        self,
        model: Any,
        words: Words | None,
        base: ModelFiles,
        texts: Mapping[str, Sequence[str]],
        journal: Journal,
        english_limit: float,
        stopping: Stopping,
        agreed: Callable[[Stopping], Stopping] = lambda asked: asked,
    ) -> None:
        self._agreed = agreed
        self._model, self._words, self._texts = model, words, texts
        self._journal, self._limit, self._stopping = journal, english_limit, stopping
        self._start = document_start(base.folder)
        self._own = _Spelling(_encoder(base.tokenizer_folder if words is None else words.folder))
        self._bases = _Spelling(_encoder(base.tokenizer_folder), None if words is None else words.vocabulary.first)
        self._base = dict(journal.base)
        self._scores = dict(journal.scores)
        self._cost: float | None = None
        self._ended = time.monotonic()
        self.english_is_lost = False  # after the last finished stage, beyond the limit

    def begin(self) -> None:
        """Measure the base as it came and then the model before its first step; one figure where they are the same."""
        began = time.monotonic()
        rows = self._measure(self._bases, BASE_STAGE, 0, self._stopping)
        for row in rows:
            self._base[row.language] = row
        if self._words is None:
            for row in rows:
                self._journal.held_out(replace(row, stage=0))
        else:
            self._measure(self._own, 0, 0, self._stopping)
        self._ended = time.monotonic()
        self._cost = self._ended - began

    def at_checkpoint(self, stage: int, step: int) -> None:
        """Measure if that has cost at most `SHARE` of the time since the last measuring; the first after a resume."""
        if self._agreed(lambda: self._cost is None or self._cost <= SHARE * (time.monotonic() - self._ended))():
            self._now(stage, step, self._stopping)

    def at_end(self, stage: int, step: int) -> None:
        """Measure a stage that is done, and watch over English; Stop does not end what takes as long as some steps."""
        for row in self._now(stage, step, lambda: False):
            base = self._base.get(row.language) if row.language == "en" else None
            if base is not None and (alarm := english_lost(base, row, self._limit)) is not None:
                self._journal.alarm(alarm)
                self.english_is_lost = True

    def best(self, stage: int, upto: int) -> int | None:
        """The step, at most `upto`, after which a stage scored best in Persian; None before any was measured."""
        steps = self._measured(stage, upto)
        return min(steps, key=lambda step: self._scores[stage, step]) if steps else None

    def since_best(self, stage: int, upto: int) -> int:
        """How many measured checkpoints of a stage, up to `upto`, came after its best one."""
        steps = self._measured(stage, upto)
        return len(steps) - 1 - steps.index(self.best(stage, upto)) if steps else 0  # type: ignore[arg-type]

    def _measured(self, stage: int, upto: int) -> list[int]:
        return sorted(step for at, step in self._scores if at == stage and 0 < step <= upto)

    def _now(self, stage: int, step: int, stopping: Stopping) -> list[HeldOutRow]:
        began = time.monotonic()
        rows = self._measure(self._own, stage, step, stopping)
        self._ended = time.monotonic()
        self._cost = self._ended - began
        return rows

    def _measure(self, spelling: _Spelling, stage: int, step: int, stopping: Stopping) -> list[HeldOutRow]:
        rows = []
        with self._as_it_is(spelling):
            for language in LANGUAGES:
                try:
                    row = self._score(spelling, language, stage, step, stopping)
                except StudioError as error:
                    if error.code != "job.stopped":
                        raise
                    break  # the step loop will hear of it, too
                rows.append(row)
                self._journal.held_out(row)
                if language == "fa" and stage >= 0:
                    self._scores[stage, step] = row.bits_per_byte
        return rows

    def _score(self, spelling: _Spelling, language: str, stage: int, step: int, stopping: Stopping) -> HeldOutRow:
        longest = getattr(self._model.config.get_text_config(), "max_position_embeddings", None) or WINDOW
        bits = bits_per_byte(
            self._model,
            spelling.encode,
            self._texts[language],
            self._start,
            window=min(WINDOW, longest),
            at_once=AT_ONCE,
            stopping=stopping,
        )
        loss = bits.bits_per_byte * math.log(2) * bits.bytes / bits.tokens
        return HeldOutRow(stage, step, language, bits.bits_per_byte, loss, bits.tokens, bits.bytes, time.time())

    @contextmanager
    def _as_it_is(self, spelling: _Spelling) -> Iterator[None]:
        """The model ready to be scored; training finds mode, attention and weights as it left them."""
        model = self._model
        causal, training = model.get_base_model(), model.training
        head, config = causal.get_output_embeddings(), causal.get_decoder().config
        former = config._attn_implementation
        if former == attention.NAME:  # it builds no masks, and a sliding window would go unheeded
            config._attn_implementation = "sdpa"
        model.eval()
        with ExitStack() as stack:
            stack.callback(model.train, training)
            stack.callback(setattr, config, "_attn_implementation", former)
            if can_widen(model):
                stack.enter_context(in_fp32(model))
            if self._words is not None:
                trained = self._words.trained
                stack.callback(head.register_forward_pre_hook(lambda module, _: trained.place_in(module)).remove)
            if spelling.ids is not None:
                stack.callback(head.register_forward_hook(_only(spelling.ids)).remove)
            yield


def choose_texts(recipe: Recipe, settings: Settings) -> dict[str, list[str]]:
    """What a run is measured on: `SAMPLE_BYTES` of each language, less for a run shorter than `FULL_TOKENS`.

    Persian is what was held out of the run's own mixes, in equal parts, else the studio's stories, which no recipe of
    the studio trains on; English is always the stories.
    """
    sizes = {language: round(_share(recipe) * size) for language, size in SAMPLE_BYTES.items()}
    companions = [found for name in recipe.datasets if (found := _companion(settings.datasets, name)) is not None]
    own = [text for folder in companions for text in _sample(_persian(folder), sizes["fa"] // len(companions))]
    stories = {language: _sample(iter(held_out_lines(language)), size) for language, size in sizes.items()}
    return {**stories, "fa": own} if own else stories


def _share(recipe: Recipe) -> float:
    """How much of the full size a run is worth, by the most tokens it may train on; epochs are worth all."""
    tokens = 0
    for stage in recipe.stages:
        if stage.budget.epochs is not None:
            return 1.0
        full = (stage.budget.steps or 0) * stage.batch * stage.accumulation * stage.length
        tokens += stage.budget.tokens or full
    return min(1.0, max(LEAST, tokens / FULL_TOKENS))


def _companion(datasets: Path, name: str) -> Path | None:
    mixed = read_manifest(datasets / name).mixed
    if mixed is None or mixed.part != "mix" or mixed.sibling is None:
        return None
    folder = datasets / mixed.sibling
    return folder if (folder / "manifest.json").is_file() else None  # it may have been deleted since


def _persian(folder: Path) -> Iterator[str]:
    for sample in read_samples(folder):
        text = _text(sample)
        if persian_share(text) > 0.5:  # a mix replays English, which has a figure of its own
            yield text


def _text(sample: Sample) -> str:
    return sample.fa if isinstance(sample, Pair) else plain_text(sample)


def _sample(texts: Iterator[str], size: int) -> list[str]:
    """The first of `texts`, until they hold `size` bytes; a longer text is cut there, at a space."""
    chosen: list[str] = []
    left = size
    for text in islice(texts, size):
        if left <= 0:
            break
        length = len(text.encode("utf8"))
        if length > left:
            text = text.encode("utf8")[:left].decode("utf8", "ignore").rpartition(" ")[0]
        if text.strip():
            chosen.append(text)
        left -= length
    return chosen


def _encoder(folder: Path) -> Encode:
    tokenizer = load_tokenizer(folder)

    def encode(text: str) -> Sequence[int]:
        ids: Sequence[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    return encode


def _only(ids: int) -> Callable[[Any, Any, torch.Tensor], torch.Tensor]:
    return lambda module, given, logits: logits[..., :ids]
