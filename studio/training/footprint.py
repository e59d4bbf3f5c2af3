"""Bytes in memory while a stage trains, part by part, as the engine keeps them: arithmetic, no torch.

Each function mirrors one place of the engine: what `fused_llama` and peft keep for the backward, the chunk of `loss`,
the optimizer's states. ``benchmarks/estimate.py`` holds the sums against measured processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.models.anatomy import Anatomy, Linear

PARTS = ("worker", "base", "rows", "lora", "optimizer", "gradients", "activations", "logits", "overhead")

CHUNK_ELEMENTS = 8_000_000
"""As in `studio.training.loss`, which imports torch; a test holds the two together."""

BLOCK, KEEP = 128, 1024
"""As in `studio.training.attention_blocks`."""

NF4_BYTES = 0.5 + (1 + 4 / 256) / 64
"""Of a weight in four bits: the scale of 64 weights is a byte, and that of 256 such bytes a float."""

WORKER = 382_000_000
"""An idle worker: Python, torch, transformers and trl, before any weight is loaded (measured)."""

LOADED = 60_000_000
"""What loading leaves besides weights: the family's code, the tokenizer, the modules (measured)."""

LONG = 512
"""Tokens of a document from which the growing blocks of its attention leave gaps."""

SLACK = {"fused": 0.15, "long": 0.4, "peft": 0.65, "nf4": 0.7}
"""Memory that a processor's allocator holds besides, as a share of the activations: gaps between what stays and what
has gone. Fitted to the 20 points without new rows of
``benchmarks/estimate.py``, as are the three below; two runs of one point differ by up to 8%."""

LASTING, PRODUCTS = 60, 700_000_000
"""Texts from which a training on a processor lasts, and what it then holds besides, since texts have many lengths:
products that oneDNN keeps for each, and holes. 460, 690, 820 and 950 MB at four points of ``--long``, 120 steps."""

HEAD_COPY = 0.75
"""Of the head's bytes, held besides once the logits come in more than one chunk."""

NF4_LOADED, NF4_LEFT = 60_000_000, 200_000_000
"""What bitsandbytes brings along, and room that quantising leaves free and later steps fill first."""

GATHERED = 3
"""Layers of a divided base that are whole at a time: the one that computes, the next one, and what they are copied
from; counted from FSDP2's code, not measured on a card."""

CUDA_OVERHEAD = 600_000_000
"""Context and libraries of a card; not measured yet."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a stage trains.

    Attributes:
        device: Kind of device.
        width: Bytes of a weight and an activation of the base: 2 in bf16 and fp16, 4 in fp32.
        quantised: Whether the linear layers are held in four bits.
        converted: Whether weights are converted while they load, so that none stays in its file.
        batch: Documents of a batch, each `length` tokens long: the longest batch there can be.
        length: Tokens of a document.
        rank: Of the adapter; 0 without one.
        targets: The linear layers that carry it.
        plain: Whether the adapter has neither dropout nor DoRA: what the hand-written layers ask for.
        accumulates: Whether gradients of one batch wait while the next goes forward.
        eight_bit: Whether the optimizer keeps its averages in a byte each.
        parts: Cards that the layers are divided among (`studio.training.divided`).
        lasts: Whether it goes on for `LASTING` texts or more.
    """

    device: Literal["cpu", "cuda"]
    width: int
    quantised: bool
    converted: bool
    batch: int
    length: int
    rank: int
    targets: tuple[Linear, ...]
    plain: bool = True
    accumulates: bool = False
    eight_bit: bool = False
    parts: int = 1
    lasts: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of a batch."""
        return self.batch * self.length


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights beside the base's.

    Attributes:
        lora: Of the adapter in memory.
        rows: Of the rows held in fp32 beside the tables.
        trained: Of all that has a gradient; `learning_rows` of them in rows, where old ones held still have one too.
        new_rows: By which the frozen tables grow; tables that grow are copied out of their file.
    """

    lora: int
    rows: int
    trained: int
    learning_rows: int = 0
    new_rows: int = 0


def memory(anatomy: Anatomy, setting: Setting, weights: Weights) -> dict[str, int]:
    """Bytes of each of `PARTS` at the moment when a step holds most."""
    activations = kept_activations(anatomy, setting)
    rows = anatomy.rows + weights.new_rows // (anatomy.sides * anatomy.hidden)
    # the chunk of logits is gone before the backward takes its room
    passing = max(logits_bytes(rows, setting), passing_bytes(anatomy, setting))
    gradients = 4 * weights.trained
    if not setting.accumulates:  # those of the adapter come as the activations go, those of the rows with the loss
        late = 4 * (weights.trained - weights.learning_rows)
        gradients = 4 * weights.learning_rows + max(0, late - activations - passing)
    on_card = setting.device == "cuda"
    return {
        "worker": 0 if on_card else WORKER,
        "base": base_bytes(anatomy, setting) + setting.width * weights.new_rows,
        "rows": 4 * weights.rows,
        "lora": 4 * weights.lora,
        "optimizer": (2 if setting.eight_bit and on_card else 8) * weights.trained,
        "gradients": gradients,
        "activations": activations,
        "logits": passing,
        "overhead": CUDA_OVERHEAD if on_card else _held_besides(anatomy, setting, activations, rows),
    }


def _held_besides(anatomy: Anatomy, setting: Setting, activations: int, rows: int) -> int:
    """What a processor's allocator and kernels hold besides what is asked of them."""
    chunk = max(16, CHUNK_ELEMENTS // rows)
    several = min(1.0, max(0, setting.tokens - chunk) / chunk)
    head = HEAD_COPY * several * setting.width * rows * anatomy.hidden + PRODUCTS * setting.lasts
    if setting.quantised:
        return round(LOADED + NF4_LOADED + max(0, SLACK["nf4"] * activations - NF4_LEFT) + head)
    way = "peft" if not is_fused(anatomy, setting) else "long" if setting.length > LONG else "fused"
    return round(LOADED + SLACK[way] * activations + head)


def is_fused(anatomy: Anatomy, setting: Setting) -> bool:
    """Whether the engine's own layers run (see `fused_llama`): they keep far less than peft's."""
    return (
        setting.device == "cpu"
        and anatomy.family in ("llama", "mistral")
        and not (anatomy.window or anatomy.gelu or setting.quantised)
        and setting.parts == 1
        and setting.plain
        and setting.rank > 0
        and len(setting.targets) == len(anatomy.linears)
        and not any(linear.bias for linear in anatomy.linears)
    )


def base_bytes(anatomy: Anatomy, setting: Setting) -> int:
    """All weights of the base as they are held."""
    rest = anatomy.parameters - anatomy.layer_parameters
    if setting.quantised:
        return round(NF4_BYTES * anatomy.layer_parameters) + setting.width * rest
    if setting.parts == 1:
        return setting.width * anatomy.parameters
    each = anatomy.layer_parameters // anatomy.layers
    return setting.width * (anatomy.layer_parameters // setting.parts + GATHERED * each + rest)


def mapped_bytes(anatomy: Anatomy, setting: Setting, *, grown: bool = False) -> int:
    """Of those, what stays in the file on a processor: read where it lies, and given up when memory runs short.

    Tables that have `grown` are copies.
    """
    if setting.device == "cuda" or setting.converted or setting.parts > 1:
        return 0
    tables = anatomy.vocabulary_parameters(anatomy.rows) if grown else 0
    whole = setting.width * (anatomy.parameters - tables)
    if setting.quantised:
        return 0
    if not is_fused(anatomy, setting):
        return whole
    together = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")  # copied into one matrix, which is memory
    copied = sum(each.parameters for each in anatomy.linears if each.name.endswith(together))
    return whole - setting.width * copied


def logits_bytes(rows: int, setting: Setting) -> int:
    """The chunk of logits with its copies: fp32 ones, their logarithms, and from the second on those of the last."""
    chunk = max(16, CHUNK_ELEMENTS // rows)
    first = min(chunk, setting.tokens)
    second = min(chunk, setting.tokens - first)
    # bf16 logits, in fp32, their logarithms, and those again in bf16 for the product with the head
    alone, left, fresh = (10, 8, 6) if setting.width == 2 else (8, 8, 4)
    return max(alone * first, left * first + fresh * second) * rows


def kept_activations(anatomy: Anatomy, setting: Setting) -> int:
    """What the forward keeps for the backward, over all layers, with the norm and the states that the loss reads."""
    tokens, width = setting.tokens, setting.width
    layer = _fused_layer(anatomy, setting) if is_fused(anatomy, setting) else _peft_layer(anatomy, setting)
    end = tokens * anatomy.hidden * (4 + 4 * width)  # states, in fp32 for the norm, normed, chosen, their gradient
    return anatomy.layers * layer + end


def _fused_layer(anatomy: Anatomy, setting: Setting) -> int:
    a, tokens, width = anatomy, setting.tokens, setting.width
    query, key = a.heads * a.head, a.key_heads * a.head
    attention = 2 * a.hidden + 2 * query + 2 * key  # in, middle; query, key, value, result
    low = 7 * setting.rank
    each = width * (attention + 3 * a.inner + low) + 8  # two norms keep a factor each
    return tokens * each + setting.batch * a.heads * width * _kept_scores(setting.length)


def _kept_scores(length: int) -> int:
    """Weights of attention that one head keeps of a document (`attention_blocks.attend`)."""
    if length > KEEP:
        return 0
    ends = [min(begin + BLOCK, length) for begin in range(0, length, BLOCK)]
    return sum((end - begin) * end for begin, end in zip(range(0, length, BLOCK), ends, strict=True))


def _peft_layer(anatomy: Anatomy, setting: Setting) -> int:
    """Per layer, on average: peft casts the input of every adapter to fp32 and keeps it; norms keep theirs too."""
    a, width = anatomy, setting.width
    inputs = sum(each.inputs * each.times for each in setting.targets) / a.layers
    adapters = sum(each.times for each in setting.targets) / a.layers
    if width == 4:  # nothing to cast: layers that read the same share it
        inputs = 2 * a.hidden + a.heads * a.head + a.inner
    low = 4 * (inputs + adapters * setting.rank) if setting.rank else 0
    norms = 4 * (4 if a.family.startswith("gemma") and a.family != "gemma" else 2) * a.hidden
    if a.others > a.layers * 2 * a.hidden + a.hidden and a.family in ("qwen3", "gemma3_text", "gemma3n_text"):
        norms += 4 * (a.heads + a.key_heads) * a.head
    attention = width * 2 * (a.heads + a.key_heads) * a.head
    return round(setting.tokens * (low + norms + attention + width * 3 * a.inner))


def passing_bytes(anatomy: Anatomy, setting: Setting) -> int:
    """What the backward of one layer holds besides: gradients of its MLP on their way down."""
    width = setting.width
    if is_fused(anatomy, setting):
        return setting.tokens * (5 * anatomy.inner * width + 3 * anatomy.hidden * 4)
    dequantised = max(each.inputs * each.outputs for each in anatomy.linears) * width if setting.quantised else 0
    return setting.tokens * (3 * width + 8) * anatomy.inner + dequantised
