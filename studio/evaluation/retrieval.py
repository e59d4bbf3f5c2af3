"""Cross-lingual sentence retrieval: does a sentence lie nearest to its own translation among all?

The mean of the hidden states over a text's tokens, at the middle layer, by cosine: the outer layers of a causal model
are about its tokens, and those differ between languages. Accuracy over both directions, as for Tatoeba in LASER
(Artetxe and Schwenk 2019). Where people graded how alike the two of a pair are, the cosine of each pair is kept beside
its grade, and `studio.evaluation.correlation` tells how well they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from studio.errors import StudioError
from studio.evaluation.results import Item
from studio.jobs.events import Progress, Stopping

FIRST = "fa-en"
LONGEST = 512
"""Most tokens of a text that are read."""


def embed(
    model: Any, encode: Callable[[str], Sequence[int]], texts: Sequence[str], start: int | None,
    progress: Callable[[], None],
) -> Any:  # fmt: skip
    """Unit vectors ``(texts, hidden)`` in fp32, each text by itself after the document start.

    Args:
        model: A `transformers` causal model in evaluation mode.
        encode: Text to token ids without special tokens.
        texts: To embed.
        start: Document start, which is not part of the mean; None for a model without one.
        progress: Called before each text; may raise to stop.
    """
    import torch

    rows = []
    with torch.inference_mode():
        for text in texts:
            progress()
            ids = [*([] if start is None else [start]), *encode(text)[:LONGEST]]
            states = model(
                input_ids=torch.tensor([ids], device=model.device), output_hidden_states=True, use_cache=False
            ).hidden_states
            middle = states[len(states) // 2][0].float()
            rows.append(torch.nn.functional.normalize(middle[0 if start is None else 1 :].mean(0), dim=0))
    return torch.stack(rows)


def retrieve(
    model: Any,
    encode: Callable[[str], Sequence[int]],
    pairs: Sequence[tuple[str, str]],
    start: int | None,
    *,
    grades: Sequence[float] | None = None,
    progress: Progress,
    stopping: Stopping,
) -> list[Item]:
    """Look for each Persian text among the English ones and the other way round.

    Args:
        model: As in `embed`.
        encode: As in `embed`.
        pairs: Persian and English.
        start: As in `embed`.
        grades: How alike people found each pair.
        progress: Told the share of texts read.
        stopping: Asked before each.

    Returns:
        Two items a pair, valued 1 where the nearest was its translation; the first of the two has likeness and grade.

    Raises:
        StudioError: ``evaluation.no_items`` for fewer than two pairs, ``job.stopped``.
    """
    if grades is not None and len(grades) != len(pairs):
        raise ValueError(f"{len(grades)} grades for {len(pairs)} pairs")
    if len(pairs) < 2:
        raise StudioError("evaluation.no_items")
    done = 0

    def tick() -> None:
        nonlocal done
        if stopping():
            raise StudioError("job.stopped")
        done += 1
        progress(done / (2 * len(pairs)), "progress.evaluation.measure")

    persian, english = (embed(model, encode, [pair[side] for pair in pairs], start, tick) for side in (0, 1))
    likeness = persian @ english.T
    items = []
    cosines = likeness.diagonal().tolist()
    for direction, table, said, asked in ((FIRST, likeness, 1, 0), ("en-fa", likeness.T, 0, 1)):
        for number, nearest in enumerate(table.argmax(1).tolist()):
            texts = pairs[number]
            right = float(nearest == number)
            likeness_and_grade = (cosines[number], grades[number]) if grades and direction == FIRST else (None, None)
            items.append(
                Item(f"{direction}/{number}", f"{hash_of(texts)}", right, texts[said], pairs[nearest][said],
                     direction, texts[asked], *likeness_and_grade)
            )  # fmt: skip
    return items


def hash_of(texts: Sequence[str]) -> str:
    """By which two evaluations know that they asked the same."""
    import hashlib

    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
