"""What a model is made of, weight for weight, told from its ``config.json`` alone: nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.errors import StudioError

_LLAMA = {"num_key_value_heads": None, "tie_word_embeddings": False}
_GEMMA = {"tie_word_embeddings": True, "head_dim": 256, "hidden_act": "gelu"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": _LLAMA,
    "mistral": {**_LLAMA, "num_key_value_heads": 8, "sliding_window": 4096},
    "phi3": _LLAMA,
    "qwen2": {**_LLAMA, "num_key_value_heads": 32, "qkv_bias": True},
    "qwen3": {**_LLAMA, "num_key_value_heads": 32, "head_dim": 128, "head_norms": True},
    "smollm3": {"num_key_value_heads": 4, "tie_word_embeddings": True},
    "gemma": {**_GEMMA, "num_key_value_heads": 16},
    "gemma2": {**_GEMMA, "num_key_value_heads": 4, "vocab_size": 256_000, "num_attention_heads": 8, "norms": 4},
    "gemma3_text": {**_GEMMA, "num_key_value_heads": 4, "vocab_size": 262_208, "num_attention_heads": 8, "norms": 4,
                    "head_norms": True},
    "gemma3n_text": {**_GEMMA, "num_key_value_heads": 2, "vocab_size": 262_400, "num_attention_heads": 8, "norms": 4,
                     "head_norms": True, "hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262_144,
                     "altup_num_inputs": 4, "laurel_rank": 64, "num_kv_shared_layers": 15,
                     "intermediate_size": 16_384},
}  # fmt: skip
"""What transformers takes where a config is silent: published ones leave out whatever is the family's default."""

_TEXT_OF = {"gemma3": "gemma3_text", "gemma3n": "gemma3n_text"}


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer that occurs `times` times: its name from the layer on, and its width on both sides."""

    name: str
    inputs: int
    outputs: int
    times: int = 1
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Weights of all of them."""
        return self.times * (self.inputs * self.outputs + (self.outputs if self.bias else 0))


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A causal language model in numbers.

    Attributes:
        family: Its ``model_type``, of the language part where there are others.
        hidden: Width.
        rows: Length of embedding and head.
        tied: Whether those two are one table.
        layers: Decoder layers.
        heads: Query heads, and `key_heads` those of keys and values, each `head` wide.
        inner: Widest hidden layer of an MLP.
        linears: All linear layers but the head.
        others: Norms and whatever else is no linear layer and no table.
        tables: Weights of embeddings beyond the vocabulary's own (one of each layer in Gemma-3n).
        context: Longest text in tokens, None where the config does not tell.
        window: Tokens that attention sees back, None for all.
        gelu: Whether the MLP's gate is a GELU, which no hand-written layer of ours computes.
        left_out: Parts of the model that are not counted, such as ``vision``.
    """

    family: str
    hidden: int
    rows: int
    tied: bool
    layers: int
    heads: int
    key_heads: int
    head: int
    inner: int
    linears: tuple[Linear, ...]
    others: int
    tables: int
    context: int | None
    window: int | None
    gelu: bool
    left_out: tuple[str, ...] = ()

    @property
    def sides(self) -> int:
        """Tables of the vocabulary: one if tied, else two."""
        return 1 if self.tied else 2

    @property
    def layer_parameters(self) -> int:
        """Weights of all linear layers but the head."""
        return sum(linear.parameters for linear in self.linears)

    def vocabulary_parameters(self, rows: int) -> int:
        """Weights of `rows` rows, on both sides where the head is a table of its own."""
        return self.sides * rows * self.hidden

    @property
    def parameters(self) -> int:
        """All weights of the base."""
        return self.layer_parameters + self.others + self.tables + self.vocabulary_parameters(self.rows)

    def targets(self, names: Sequence[str] | None) -> tuple[Linear, ...]:
        """The linear layers that an adapter for `names` goes on; all of them for None.

        Names fit as peft has it: the whole name or its end after a point.

        Raises:
            StudioError: ``training.bad_targets`` if none fits.
        """
        if names is None:
            return self.linears
        found = tuple(each for each in self.linears if any(f".{each.name}".endswith(f".{name}") for name in names))
        if not found:
            raise StudioError("training.bad_targets", targets=str(list(names)))
        return found


def read_anatomy(config: Mapping[str, Any]) -> Anatomy:
    """The anatomy of a model from its ``config.json``.

    Raises:
        StudioError: ``estimate.unknown_family`` for families whose weights we cannot count exactly;
            ``estimate.bad_config`` for a config without what a count needs.
    """
    kind = str(config.get("model_type"))
    family = _TEXT_OF.get(kind, kind)
    if family not in DEFAULTS:
        raise StudioError("estimate.unknown_family", type=kind)
    text = {**DEFAULTS[family], **{key: value for key, value in _text(config).items() if value is not None}}
    try:
        return _anatomy(family, text, tuple(part for part in ("vision", "audio") if f"{part}_config" in config))
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise StudioError("estimate.bad_config", type=kind, reason=str(error)) from error


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner: Mapping[str, Any] = config.get("text_config") or {}
    return {**config, **inner} if inner else config


def _anatomy(family: str, text: dict[str, Any], left_out: tuple[str, ...]) -> Anatomy:
    hidden, layers, heads = int(text["hidden_size"]), int(text["num_hidden_layers"]), int(text["num_attention_heads"])
    key_heads = int(text["num_key_value_heads"] or heads)
    head = int(text.get("head_dim") or hidden // heads)
    inner = text["intermediate_size"]
    inners = [int(width) for width in inner] if isinstance(inner, list) else [int(inner)] * layers
    linears = _phi(hidden, layers, heads, key_heads, head, inners) if family == "phi3" else _split(
        text, hidden, layers, heads, key_heads, head, inners
    )  # fmt: skip
    others = layers * hidden * text.get("norms", 2) + hidden
    tables = 0
    if text.get("head_norms"):
        others += layers * 2 * head
    if family == "gemma3n_text":
        more, norms, tables = _gemma3n(text, hidden, layers)
        linears, others = linears + more, others + norms - min(text["num_kv_shared_layers"], layers) * head
    # the keys that say whether the window is in use differ between families
    sliding = text.get("sliding_window") if text.get("use_sliding_window", True) else None
    return Anatomy(
        family=family, hidden=hidden, rows=int(text["vocab_size"]), tied=bool(text["tie_word_embeddings"]),
        layers=layers, heads=heads, key_heads=key_heads, head=head, inner=max(inners), linears=linears, others=others,
        tables=tables, context=text.get("max_position_embeddings"), window=sliding,
        gelu="gelu" in str(text.get("hidden_act", "silu")), left_out=left_out,
    )  # fmt: skip


def _split(
    text: Mapping[str, Any], hidden: int, layers: int, heads: int, key_heads: int, head: int, inners: list[int]
) -> tuple[Linear, ...]:
    """Seven projections to a layer, as in Llama."""
    bias, wide = bool(text.get("attention_bias")), bool(text.get("mlp_bias"))
    own = layers - int(text.get("num_kv_shared_layers", 0))  # the others take keys and values from a layer below
    found = [
        Linear("self_attn.q_proj", hidden, heads * head, layers, bias or bool(text.get("qkv_bias"))),
        Linear("self_attn.k_proj", hidden, key_heads * head, own, bias or bool(text.get("qkv_bias"))),
        Linear("self_attn.v_proj", hidden, key_heads * head, own, bias or bool(text.get("qkv_bias"))),
        Linear("self_attn.o_proj", heads * head, hidden, layers, bias),
    ]
    for inner in sorted(set(inners)):
        times = inners.count(inner)
        found += [
            Linear("mlp.gate_proj", hidden, inner, times, wide),
            Linear("mlp.up_proj", hidden, inner, times, wide),
            Linear("mlp.down_proj", inner, hidden, times, wide),
        ]
    return tuple(found)


def _phi(hidden: int, layers: int, heads: int, key_heads: int, head: int, inners: list[int]) -> tuple[Linear, ...]:
    """Four projections to a layer: queries, keys and values in one, gate and up in one."""
    return (
        Linear("self_attn.qkv_proj", hidden, (heads + 2 * key_heads) * head, layers),
        Linear("self_attn.o_proj", heads * head, hidden, layers),
        Linear("mlp.gate_up_proj", hidden, 2 * inners[0], layers),
        Linear("mlp.down_proj", inners[0], hidden, layers),
    )


def _gemma3n(text: Mapping[str, Any], hidden: int, layers: int) -> tuple[tuple[Linear, ...], int, int]:
    """What Gemma-3n has besides: parallel streams, low-rank residuals, and an embedding for every layer."""
    streams, rank, per_layer = text["altup_num_inputs"], text["laurel_rank"], text["hidden_size_per_layer_input"]
    linears = (
        Linear("laurel.linear_left", hidden, rank, layers),
        Linear("laurel.linear_right", rank, hidden, layers),
        Linear("altup.correction_coefs", streams, streams, layers),
        Linear("altup.prediction_coefs", streams, streams**2, layers),
        Linear("altup.modality_router", hidden, streams, layers),
        Linear("per_layer_input_gate", hidden, per_layer, layers),
        Linear("per_layer_projection", per_layer, hidden, layers),
        Linear("per_layer_model_projection", hidden, layers * per_layer),
        *(Linear(f"altup_projections.{number}", hidden, hidden) for number in range(streams - 1)),
        *(Linear(f"altup_unembed_projections.{number}", hidden, hidden) for number in range(streams - 1)),
    )
    # norms after laurel, of the router, after the layer's own input; the scale of the corrected stream
    norms = 4 * layers * hidden + per_layer
    return linears, norms, text["vocab_size_per_layer_input"] * layers * per_layer
