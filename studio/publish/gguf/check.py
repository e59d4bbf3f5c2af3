"""A GGUF file held against transformers, in the real llama.cpp."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import ModelFiles, document_start
from studio.models.tokenizer import load_tokenizer
from studio.publish.children import last_words, run_child
from studio.publish.gguf.kinds import Kind

TEXTS = 1000
"""Texts tokenised at most."""
POSITIONS = 600
"""Tokens scored at most."""
_WINDOW = 48  # tokens of a document; llama.cpp gets them one by one


@dataclass(frozen=True, slots=True)
class GgufChecks:
    """What llama.cpp was found to do with a file, beside transformers on the merged folder in fp32.

    `texts` were cut into the same ids. `agreement` is the share of `positions` with the same likeliest token,
    `perplexity` the file's and `perplexity_before` transformers' on them. `adds_start` says whether llama.cpp puts the
    start token before a text by itself; `version` is that of xllamacpp.
    """

    texts: int
    positions: int
    agreement: float
    agreement_limit: float
    perplexity: float
    perplexity_before: float
    perplexity_limit: float
    adds_start: bool
    version: str


def can_check() -> bool:
    """Whether the real llama.cpp is installed."""
    return importlib.util.find_spec("xllamacpp") is not None


def check_texts() -> list[str]:
    """Sentences of the studio's own texts, Persian and English by turns, the held-out stories first."""
    from studio.data.starters import sample_lines

    fa, en = sample_lines("fa"), sample_lines("en")
    mixed = [text for pair in zip(fa, en, strict=False) for text in pair]
    longer = max(fa, en, key=len)
    return [*mixed, *longer[min(len(fa), len(en)) :]][:TEXTS]


def check_gguf(
    merged: Path, file: Path, kind: Kind, texts: Sequence[str], *, progress: Progress, stopping: Stopping
) -> GgufChecks:
    """Hold `file` against the folder it was made of.

    Args:
        merged: Folder for transformers.
        file: Made of it.
        kind: Its limits apply.
        texts: Each is tokenised; the first ones are scored too, as documents.
        progress: Told the share done.
        stopping: Asked throughout.

    Raises:
        StudioError: ``gguf.no_llamacpp``; ``gguf.load_failed``; ``gguf.tokens_differ`` with the first such `text`;
            ``gguf.answers_differ`` or ``gguf.perplexity_differs`` with the figure and its limit; ``job.stopped``.
    """
    if not can_check():
        raise StudioError("gguf.no_llamacpp")
    tokenizer = load_tokenizer(merged)
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    documents = _documents(ids, document_start(merged))
    answers = _ask(file, texts, documents, progress, stopping)
    for text, ours, theirs in zip(texts, ids, answers["tokens"], strict=True):
        if ours != theirs:
            raise StudioError("gguf.tokens_differ", text=text[:80])
    progress(0.7, "progress.gguf.reference")
    before = _reference(merged, documents, stopping)
    after = [tuple(position) for document in answers["positions"] for position in document]
    return _judge(kind, len(texts), before, after, answers)


def _judge(
    kind: Kind,
    texts: int,
    before: Sequence[tuple[int, float]],
    after: Sequence[tuple[int, float | None]],
    answers: dict[str, Any],
) -> GgufChecks:
    same = sum(ours[0] == theirs[0] for ours, theirs in zip(before, after, strict=True))
    pairs = [(ours[1], theirs[1]) for ours, theirs in zip(before, after, strict=True) if theirs[1] is not None]
    first, last = (math.exp(-sum(pair[side] for pair in pairs) / len(pairs)) for side in (0, 1))
    found = GgufChecks(
        texts=texts,
        positions=len(after),
        agreement=round(same / len(after), 4),
        agreement_limit=kind.agreement,
        perplexity=round(last, 4),
        perplexity_before=round(first, 4),
        perplexity_limit=kind.perplexity,
        adds_start=bool(answers["start"]),
        version=answers["version"],
    )
    # Written so that a NaN fails too.
    if not same >= kind.agreement * len(after):
        raise StudioError(
            "gguf.answers_differ",
            kind=kind.name,
            share=round(100 * same / len(after), 1),
            limit=round(100 * kind.agreement, 1),
        )
    if not last <= kind.perplexity * first:
        more, limit = (round(100 * (ratio - 1), 1) for ratio in (last / first, kind.perplexity))
        raise StudioError("gguf.perplexity_differs", kind=kind.name, share=more, limit=limit)
    return found


def _documents(ids: Sequence[list[int]], start: int | None) -> list[list[int]]:
    """The first texts as documents, cut to a window, until there are enough tokens to score."""
    found, count = [], 0
    for text in ids:
        document = ([] if start is None else [start]) + text[:_WINDOW]
        if len(document) > 1 and count < POSITIONS:
            found.append(document)
            count += len(document) - 1
    return found


def _ask(
    file: Path, texts: Sequence[str], documents: list[list[int]], progress: Progress, stopping: Stopping
) -> dict[str, Any]:
    asked, told, ticks, log = (file.with_name(f".{file.name}.{each}") for each in ("asked", "told", "ticks", "log"))
    asked.write_text(
        json.dumps({"file": str(file.absolute()), "texts": list(texts), "documents": documents}), encoding="utf8"
    )
    total = len(texts) + 1 + sum(len(document) - 1 for document in documents)

    def watch() -> None:
        done = ticks.stat().st_size if ticks.exists() else 0
        progress(0.7 * min(1.0, done / total), "progress.gguf.check")

    script = Path(__file__).with_name("llamacpp.py")
    try:
        command = [sys.executable, "-I", str(script), str(asked), str(told)]
        status = run_child(command, log, watch=watch, stopping=stopping)
        if status != 0 or not told.is_file():
            raise StudioError("gguf.load_failed", reason=last_words(log) or f"exit {status}")
        answers: dict[str, Any] = json.loads(told.read_text(encoding="utf8"))
    finally:
        for path in (asked, told, ticks, log):
            path.unlink(missing_ok=True)
    return answers


def _reference(merged: Path, documents: list[list[int]], stopping: Stopping) -> list[tuple[int, float]]:
    import torch

    from studio.models.load import load_base

    reference = f"local:{merged}"
    # In fp32: in bf16 transformers itself disagrees with itself at 1 of 50 positions.
    model, _ = load_base(ModelFiles(reference, reference, merged, merged), dtype=torch.float32)
    found = []
    with torch.inference_mode():
        for document in documents:
            if stopping():
                raise StudioError("job.stopped")
            ids = torch.tensor([document], device=model.device)
            logits = model(ids).logits[0, :-1].float().log_softmax(-1)
            values = logits.gather(1, ids[0, 1:, None])[:, 0]
            found += list(zip(logits.argmax(-1).tolist(), values.tolist(), strict=True))
    return found
