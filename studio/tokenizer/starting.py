"""Start rows as a job: make them in every way asked for, measure each at once, keep one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from studio.errors import StudioError
from studio.evaluation.bits import Bits, bits_per_byte, exact_dtype
from studio.jobs.events import Progress, Stopping
from studio.models.files import ModelFiles, document_start
from studio.models.load import load_base
from studio.models.new_rows import NewRows, place_rows
from studio.models.tokenizer import load_tokenizer
from studio.tokenizer.corpus import Part, sample_passages
from studio.tokenizer.embeddings import CLOSED_FORMS, closed_form, spell, tables_of
from studio.tokenizer.fitting import BUDGETS, fit, guard, write_freely
from studio.tokenizer.rows import check_base, save_rows
from studio.tokenizer.scripts import find_script
from studio.tokenizer.starts import METHODS, Method, Started, Starts, pick, read_starts, write_starts
from studio.tokenizer.vocabulary import Vocabulary, read_vocabulary

SEED = 3407
_CHARACTERS = 400  # of a passage: more than 96 tokens of an extended vocabulary
_FITTING = 0.5  # share of the progress bar


@dataclass(frozen=True, slots=True)
class _Made:
    rows: NewRows
    tokens: int
    seconds: float


def make_starts(
    files: ModelFiles,
    folder: Path,
    parts: Sequence[Part],
    held: Mapping[Literal["fa", "en"], Sequence[str]],
    methods: Sequence[Method],
    keep: Literal["best"] | Method,
    *,
    progress: Progress,
    stopping: Stopping,
    smoke: bool = False,
    steps: int | None = None,
) -> Starts:
    """Make start rows for a vocabulary and measure them on held-out text before any training.

    Args:
        files: The base, from :func:`studio.models.files.locate`.
        folder: Folder of the vocabulary; it gets new_rows.safetensors and start.json.
        parts: Text that the learned ways read; passages of `held` in it are left out.
        held: Documents to measure on.
        methods: Ways to start.
        keep: The one of `methods` whose rows stay; ``best`` as `pick` says.
        progress: Told of progress.
        stopping: Asked often.
        smoke: Fit for a few steps only.
        steps: Of fitting; as `BUDGETS` by default. Before a training of a few minutes fewer are better: after 14
            minutes in all on one core, 16 came to 1.190 bits per byte, 48 to 1.206, and the mean to 1.206.

    Raises:
        StudioError: ``rows.other_base`` for a base with another tokenizer, ``rows.no_text``, ``model.*``, ``bits.*``,
            ``job.stopped``, ``disk.full``; the folder is then as it was.
    """
    vocabulary = read_vocabulary(folder)
    check_base(files, vocabulary)
    start = document_start(files.folder)
    if start is None:
        raise StudioError("bits.no_document_start")
    bench = _Bench(files, folder, vocabulary, start, held, progress, stopping, smoke, steps)
    made = bench.fit([method for method in methods if method not in CLOSED_FORMS], parts)
    found = bench.measure(made, methods)
    chosen = pick(found.starts, found.base_en) if keep == "best" else keep
    earlier = read_starts(folder)
    others = [] if earlier is None else [each for each in earlier.starts if each.method not in made]
    in_order = sorted([*others, *found.starts], key=lambda each: METHODS.index(each.method))
    found = found.model_copy(update={"starts": in_order, "chosen": chosen})
    save_rows(folder, made[chosen].rows, vocabulary)
    write_starts(folder, found)
    return found


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all ways to start share: the base, the vocabulary, and the text they are held to."""

    files: ModelFiles
    folder: Path
    vocabulary: Vocabulary
    start: int
    held: Mapping[Literal["fa", "en"], Sequence[str]]
    progress: Progress
    stopping: Stopping
    smoke: bool
    steps: int | None

    def fit(self, methods: Sequence[Method], parts: Sequence[Part]) -> dict[Method, _Made]:
        """The learned ways, in the device's own precision."""
        if not methods:
            return {}
        self.progress(0.0, "progress.rows.load")
        model, _ = load_base(self.files)
        model.requires_grad_(False)
        budget = BUDGETS["smoke" if self.smoke else model.device.type]
        if self.steps is not None:
            budget = replace(budget, steps=self.steps)
        tables, old = tables_of(model), load_tokenizer(self.files.tokenizer_folder)
        passages = self._passages(parts, budget.steps * budget.batch, budget.length)
        script = find_script(self.vocabulary.script)
        self.progress(0.02, "progress.rows.free")
        free = write_freely(model, self.start, SEED, budget.free)
        guarded = guard(model, [each for each in free if not script.touches(old.decode(each))])
        spelled = spell(self.vocabulary, old.get_vocab(with_added_tokens=False))
        made: dict[Method, _Made] = {}
        for place, method in enumerate(methods):

            def tell(share: float, note: str, place: int = place) -> None:
                self.progress(_FITTING * (place + share) / len(methods), note)

            began = time.perf_counter()
            rows = fit(
                model, tables, spelled, self.vocabulary.first, passages, guarded, shared=method == "fitted",
                batch=budget.batch, progress=tell, stopping=self.stopping, seed=SEED,
            )  # fmt: skip
            made[method] = _Made(rows, sum(len(each) - 1 for each in passages), time.perf_counter() - began)
        return made

    def measure(self, made: dict[Method, _Made], methods: Sequence[Method]) -> Starts:
        """Bits per byte of the base, then of each start in its place; ways that need no text join `made`."""
        self.progress(_FITTING, "progress.rows.load")
        model, _ = load_base(self.files, dtype=exact_dtype(self.files.folder))
        tables = tables_of(model)
        ids = load_tokenizer(self.files.tokenizer_folder).get_vocab(with_added_tokens=False)
        for method in methods:
            if method in CLOSED_FORMS:
                began = time.perf_counter()
                rows = closed_form(method, self.vocabulary, ids, tables, SEED)
                made[method] = _Made(rows, 0, time.perf_counter() - began)
        rounds = len(methods) + 1
        persian, english = self._score(model, self.files.tokenizer_folder, 0, rounds)
        starts = []
        for place, method in enumerate(methods, start=1):
            one = made[method]
            place_rows(model, one.rows)
            fa, en = (bits.bits_per_byte for bits in self._score(model, self.folder, place, rounds))
            starts.append(Started(method=method, fa=fa, en=en, tokens=one.tokens, seconds=one.seconds))
        return Starts(
            base=self.files.reference,
            base_fa=persian.bits_per_byte,
            base_en=english.bits_per_byte,
            bytes_fa=persian.bytes,
            bytes_en=english.bytes,
            starts=starts,
            chosen=methods[0],
        )

    def _passages(self, parts: Sequence[Part], count: int, length: int) -> list[list[int]]:
        """Token ids of passages of the corpus, none of which overlaps the held-out text."""
        script, tokenizer = find_script(self.vocabulary.script), load_tokenizer(self.folder)
        kept_apart = " ".join(" ".join(self.held["fa"]).split())
        found = []
        for passage in sample_passages(parts, _CHARACTERS, 2 * count, SEED):
            words = passage.split()
            middle = " ".join(words[len(words) // 2 : len(words) // 2 + 8])
            if script.touches(passage) and middle not in kept_apart:
                tokens = tokenizer.encode(passage, add_special_tokens=False).ids
                found.append([self.start, *tokens[: length - 1]])
        if not found:
            raise StudioError("rows.no_text")
        return found[:count]

    def _score(self, model: Any, tokenizer_folder: Path, place: int, rounds: int) -> tuple[Bits, Bits]:
        """Bits per byte of Persian and of English, as round `place` of `rounds`."""
        tokenizer = load_tokenizer(tokenizer_folder)

        def score(language: Literal["fa", "en"], half: float) -> Bits:
            share = _FITTING + (1 - _FITTING) * (place + half) / rounds
            self.progress(share, "progress.rows.measure")
            return bits_per_byte(
                model,
                lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
                self.held[language],
                self.start,
                stopping=self.stopping,
            )

        return score("fa", 0.0), score("en", 0.5)
