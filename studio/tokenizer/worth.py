"""What a vocabulary is worth at a size: tokens saved, rows added, how often the new tokens occur, whether to do it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Literal

from studio.tokenizer.vocabulary import Vocabulary

KNEE = 0.95
"""Share of the attainable saving at which more tokens stop to pay."""

ENOUGH = 500
"""Occurrences that a new token needs to be learned well; rarer ones stay close to how they were started."""

LITTLE = 0.30
"""A saving at the knee below this is not worth a new vocabulary: the base knows the script. On 75 MB of Persian the
knee saves Gemma-3 24% with 16,000 tokens, and Qwen3 51% with 11,000."""

LITTLE_OF_FEW = 0.10
"""The same where the text is too small and only the frequent tokens are left."""

STORED_BYTES = 2
TRAINED_BYTES = 16
"""Of a new parameter: bf16 on disk; while training weight, gradient and two averages of Adam, each fp32."""

Verdict = Literal["knee", "frequent", "little", "small_text"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's config says about its size.

    `rows` is the length of its vocabulary, `body` the number of weights outside embedding and head, `context` the most
    tokens it reads at once; the last two are None where the config does not tell.
    """

    hidden: int
    rows: int
    tied: bool
    body: int | None
    context: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """A vocabulary at one size; words are those of the corpus that hold the target script.

    `saving` is the share of the base's tokens, 0 to 1, that is saved. `parameters` are those of the new rows. `speed`
    says how many times the characters per second of the base training reaches (`speed_gain`). `rarest` and `median`
    are occurrences of the new pieces in the corpus when they were learned (letters that were missing are no measure of
    the rarest), and `below` counts those under `ENOUGH`. `training_tokens` is the text, in tokens, in which even the
    rarest occurs `ENOUGH` times.
    """

    size: int
    tokens_per_word_before: float
    tokens_per_word: float
    saving: float
    context_words_before: float | None
    context_words: float | None
    parameters: int | None
    speed: float | None
    rarest: int
    median: int
    below: int
    training_tokens: int

    @property
    def stored_bytes(self) -> int | None:
        """What the new rows add to the model's file."""
        return None if self.parameters is None else STORED_BYTES * self.parameters

    @property
    def trained_bytes(self) -> int | None:
        """What the new rows take in memory while they are trained."""
        return None if self.parameters is None else TRAINED_BYTES * self.parameters


@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation: `size` tokens because they save `saving`; ``little`` and ``small_text`` mean none at all."""

    verdict: Verdict
    size: int
    saving: float

    @property
    def worth_it(self) -> bool:
        return self.verdict in ("knee", "frequent")


def read_shape(config: Mapping[str, Any], rows: int) -> Shape | None:
    """The shape in a model's ``config.json``, also where the text model has a part of its own; None without width.

    Args:
        config: As read; empty for a folder with nothing but tokenizer files.
        rows: Length of the base vocabulary, where the config does not say how many rows the embedding has.
    """
    text = {**config, **(config.get("text_config") or {})}
    hidden = text.get("hidden_size") or text.get("n_embd")
    if not hidden:
        return None
    return Shape(
        hidden=int(hidden),
        rows=int(text.get("vocab_size") or rows),
        tied=bool(text.get("tie_word_embeddings", True)),  # transformers writes it where it is not true
        body=_body(text, int(hidden)),
        context=text.get("max_position_embeddings") or text.get("n_positions"),
    )


def _body(text: Mapping[str, Any], hidden: int) -> int | None:
    """Weights of all layers: four attention matrices and two or three of the MLP; norms are too few to matter."""
    if "n_layer" in text:  # GPT-2
        return 12 * int(text["n_layer"]) * hidden * hidden
    try:
        layers, heads, inner = (text[key] for key in ("num_hidden_layers", "num_attention_heads", "intermediate_size"))
    except KeyError:
        return None
    head = text.get("head_dim") or hidden // heads
    attention = 2 * hidden * head * (heads + (text.get("num_key_value_heads") or heads))
    return int(layers * (attention + 3 * hidden * inner))


def figures(vocabulary: Vocabulary, size: int, shape: Shape | None) -> Figures:
    """Everything that follows from a vocabulary's curve and counts at `size` pieces.

    Raises:
        ValueError: If there are not `size` pieces.
    """
    if not 0 <= size < len(vocabulary.curve):
        raise ValueError(f"size {size} of a vocabulary with {len(vocabulary.curve) - 1} pieces")
    before, after = vocabulary.curve[0] / vocabulary.words, vocabulary.curve[size] / vocabulary.words
    counts = vocabulary.counts[:size]
    merged = [counts[rank] for rank in vocabulary.extension.merge_ranks if rank < size]
    rarest = min(merged or counts, default=0)
    context = None if shape is None else shape.context
    return Figures(
        size=size,
        tokens_per_word_before=before,
        tokens_per_word=after,
        saving=saving(vocabulary.curve, size),
        context_words_before=None if context is None else context / before,
        context_words=None if context is None else context / after,
        parameters=None if shape is None else size * shape.hidden * (1 if shape.tied else 2),
        speed=speed_gain(before / after, size, shape),
        rarest=rarest,
        median=median_low(counts) if counts else 0,
        below=sum(count < ENOUGH for count in counts),
        training_tokens=-(-ENOUGH * vocabulary.curve[size] // rarest) if rarest else 0,
    )


def speed_gain(text_per_token: float, size: int, shape: Shape | None) -> float | None:
    """How many times the characters per second a training reaches with `size` new tokens.

    A token holds `text_per_token` times the text. It costs more arithmetic, though: under LoRA a token takes 4 FLOPs
    for each weight that is not trained (2 forward, 2 for the gradient of what goes in), embeddings not counted, and
    6 for each weight of the head's new rows. Attention over fewer tokens is a gain that is left out. It is arithmetic,
    not a measurement: memory bandwidth and the rest of a step are taken to stay as they are.
    """
    if shape is None or shape.body is None:
        return None
    old = 4 * (shape.body + shape.hidden * shape.rows)
    return text_per_token * old / (old + 6 * shape.hidden * size)


def saving(curve: Sequence[int], size: int) -> float:
    """Share of the base's tokens, 0 to 1, that `size` pieces save."""
    return 1 - curve[size] / curve[0] if curve[0] else 0.0


def knee(curve: Sequence[int]) -> int:
    """The smallest size that has `KNEE` of the saving of all pieces."""
    wanted = KNEE * (curve[0] - curve[-1])
    return bisect_left(range(len(curve) - 1), True, key=lambda size: curve[0] - curve[size] >= wanted)


def frequent(vocabulary: Vocabulary) -> int:
    """The largest size whose merges all occur `ENOUGH` times; letters that were missing are worth it when rarer."""
    ranks = vocabulary.extension.merge_ranks
    return next((rank for rank in ranks if vocabulary.counts[rank] < ENOUGH), vocabulary.added)


def advise(vocabulary: Vocabulary) -> Advice:
    """Which size to take, or that the vocabulary is better left as it is.

    The knee, if it saves at least `LITTLE` and most of its pieces occur `ENOUGH` times; where most are rarer, the
    largest size whose pieces are frequent, if that still saves `LITTLE_OF_FEW`.
    """
    size = knee(vocabulary.curve)
    if (saved := saving(vocabulary.curve, size)) < LITTLE:
        return Advice("little", 0, saved)
    if 2 * sum(count < ENOUGH for count in vocabulary.counts[:size]) <= size:
        return Advice("knee", size, saved)
    size = min(size, frequent(vocabulary))
    saved = saving(vocabulary.curve, size)
    return Advice("frequent", size, saved) if saved >= LITTLE_OF_FEW else Advice("small_text", 0, saved)
