"""Decoder layers of the Llama family with LoRA, as two hand-written steps: the same mathematics in half the time.

peft casts every input to fp32 and back for the adapter, autograd keeps each little operation, and attention pays for
padding. Here products that share an input are one product, everything runs in the dtype of the base, and only what the
backward cannot cheaply compute again is kept. Used on processors; elsewhere and for other families the layers stay as
transformers and peft have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.activations import SiLUActivation

from studio.training.attention_blocks import attend, attend_backward, on_grid
from studio.training.lora_products import Bundle, bundle

FAMILIES = ("LlamaDecoderLayer", "MistralDecoderLayer")


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer: its four bundles of products, two norms and the shape of its heads."""

    qkv: Bundle
    out: Bundle
    gate_up: Bundle
    down: Bundle
    norm: tuple[Tensor, float]
    second_norm: tuple[Tensor, float]
    heads: int
    key_heads: int
    size: int
    scale: float


def fuse_layers(model: Any) -> int:
    """Replace the forward of every layer of `model` that is plain enough; how many were replaced."""
    if model.device.type != "cpu":
        return 0
    replaced = 0
    for module in model.modules():
        if type(module).__name__ in FAMILIES and (layer := _layer(module)) is not None:
            module.forward = _forward_of(module, layer)
            replaced += 1
    return replaced


def _layer(module: Any) -> Layer | None:
    attention, mlp = module.self_attn, module.mlp
    if getattr(attention.config, "sliding_window", None) or not isinstance(mlp.act_fn, torch.nn.SiLU | SiLUActivation):
        return None
    bundles = [
        bundle(layers)
        for layers in (
            [attention.q_proj, attention.k_proj, attention.v_proj],
            [attention.o_proj],
            [mlp.gate_proj, mlp.up_proj],
            [mlp.down_proj],
        )
    ]
    qkv, out, gate_up, down = bundles
    if qkv is None or out is None or gate_up is None or down is None:
        return None
    first, second = module.input_layernorm, module.post_attention_layernorm
    size = attention.head_dim
    key_heads = len(attention.k_proj.base_layer.weight) // size
    heads = len(attention.q_proj.base_layer.weight) // size
    norms = [(norm.weight.data, float(norm.variance_epsilon)) for norm in (first, second)]
    return Layer(qkv, out, gate_up, down, norms[0], norms[1], heads, key_heads, size, float(attention.scaling))


def _forward_of(module: Any, layer: Layer) -> Any:
    original = module.forward

    def forward(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        lengths = kwargs.get("document_lengths")
        if lengths is None:  # generation
            result: Tensor = original(hidden_states, *args, **kwargs)
            return result
        cos, sin = kwargs["position_embeddings"]
        half = layer.size // 2
        x = hidden_states[0]
        mixed = _Attention.apply(x, layer, cos[0, :, :half], sin[0, :, :half], lengths, *layer.qkv.parameters)
        rest = [*layer.out.parameters, *layer.gate_up.parameters, *layer.down.parameters]
        done: Tensor = _Rest.apply(mixed, x, layer, *rest)
        return done[None]

    return forward


class _Attention(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped
    """Norm, queries, keys and values, rotation, attention: ``(tokens, hidden)`` to ``(tokens, heads * size)``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, layer: Layer, cos: Tensor, sin: Tensor, lengths: list[int], *pairs: Tensor
    ) -> Tensor:
        normed, factor = _normalise(x, *layer.norm)
        qkv, low = layer.qkv.forward(normed)
        rotated = layer.heads + layer.key_heads
        split = qkv.view(len(x), rotated + layer.key_heads, layer.size)
        result = x.new_empty(len(x), layer.heads, layer.size)
        saved, counts, begin = [], [], 0
        for length in lengths:
            rows, room = slice(begin, begin + length), on_grid(length)
            both = x.new_zeros(rotated, room, layer.size)
            _rotate(split[rows, :rotated], cos[rows], sin[rows], both[:, :length])
            value = x.new_zeros(layer.key_heads, room, layer.size)
            value[:, :length] = split[rows, rotated:].transpose(0, 1)
            attended, kept = attend(both[: layer.heads], both[layer.heads :], value, layer.scale)
            result[rows] = attended[:length]
            saved += [both, value, *kept]
            counts.append(len(kept))
            begin += length
        ctx.save_for_backward(x, factor, low, cos, sin, *saved)
        ctx.layer, ctx.lengths, ctx.counts = layer, lengths, counts
        return result.view(len(x), -1)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        layer: Layer = ctx.layer
        x, factor, low, cos, sin, *saved = ctx.saved_tensors
        rotated = layer.heads + layer.key_heads
        of_split = x.new_empty(len(x), rotated + layer.key_heads, layer.size)
        upstream = upstream.view(len(x), layer.heads, layer.size)
        begin = 0
        for length, count in zip(ctx.lengths, ctx.counts, strict=True):
            rows = slice(begin, begin + length)
            both, value, kept = saved[0], saved[1], saved[2 : 2 + count]
            saved = saved[2 + count :]
            query, key = both[: layer.heads], both[layer.heads :]
            above = functional.pad(upstream[rows], (0, 0, 0, 0, 0, key.shape[1] - length))
            of_query, of_key, of_value = attend_backward(above, query, key, value, kept, layer.scale)
            both = torch.cat([of_query[:, :length], of_key[:, :length]])
            _unrotate(both, cos[rows], sin[rows], of_split[rows, :rotated])
            of_split[rows, rotated:] = of_value[:, :length].transpose(0, 1)
            begin += length
        weight, _ = layer.norm
        hat = x.float() * factor
        need = ctx.needs_input_grad[0]  # nothing below the first layer learns
        flat = of_split.view(len(x), -1)
        of_normed, gradients = layer.qkv.backward(flat, weight * hat.to(x.dtype), low, need_input=need)
        of_x = None if of_normed is None else _normalise_backward(of_normed, hat, factor, weight).to(x.dtype)
        return (of_x, None, None, None, None, *gradients)


class _Rest(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped
    """Output product, residual, norm, gated product, residual: all of a layer after attention."""

    @staticmethod
    def forward(ctx: Any, mixed: Tensor, x: Tensor, layer: Layer, *pairs: Tensor) -> Tensor:
        middle, low_out = layer.out.forward(mixed, x)
        normed, factor = _normalise(middle, *layer.second_norm)
        gate_up, low_gate_up = layer.gate_up.forward(normed)
        gate, up = gate_up.chunk(2, dim=1)
        active = functional.silu(gate)
        result, low_down = layer.down.forward(active * up, middle)
        ctx.save_for_backward(mixed, low_out, middle, factor, gate_up, active, low_gate_up, low_down)
        ctx.layer = layer
        return result

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        layer: Layer = ctx.layer
        mixed, low_out, middle, factor, gate_up, active, low_gate_up, low_down = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=1)
        of_product, down = layer.down.backward(upstream, active * up, low_down, need_input=True)
        assert of_product is not None
        of_gate_up = torch.empty_like(gate_up)
        of_gate, of_up = of_gate_up.chunk(2, dim=1)
        torch.mul(of_product, active, out=of_up)
        of_gate.copy_(torch.ops.aten.silu_backward(of_product.mul_(up), gate))
        weight, _ = layer.second_norm
        hat = middle.float() * factor
        of_normed, gates = layer.gate_up.backward(
            of_gate_up, weight * hat.to(middle.dtype), low_gate_up, need_input=True
        )
        assert of_normed is not None
        of_middle = _normalise_backward(of_normed, hat, factor, weight).add_(upstream).to(middle.dtype)
        of_mixed, outs = layer.out.backward(of_middle, mixed, low_out, need_input=True)
        return (of_mixed, of_middle, None, *outs, *gates, *down)


def _normalise(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    wide = x.float()
    factor = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    return weight * wide.mul_(factor).to(x.dtype) if x.dtype != torch.float32 else weight * (wide * factor), factor


def _normalise_backward(upstream: Tensor, hat: Tensor, factor: Tensor, weight: Tensor) -> Tensor:
    pull = upstream.float() * weight.float()
    along = (pull * hat).mean(-1, keepdim=True)
    return pull.addcmul_(hat, along, value=-1).mul_(factor)


def _rotate(heads: Tensor, cos: Tensor, sin: Tensor, into: Tensor) -> None:
    """Turn ``(tokens, heads, size)`` by the angles of its positions into ``(heads, tokens, size)``."""
    first, second = heads.transpose(0, 1).chunk(2, dim=-1)
    one, two = into.chunk(2, dim=-1)
    torch.mul(first, cos, out=one).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=two).addcmul_(first, sin)


def _unrotate(upstream: Tensor, cos: Tensor, sin: Tensor, into: Tensor) -> None:
    first, second = upstream.chunk(2, dim=-1)
    one, two = into.transpose(0, 1).chunk(2, dim=-1)
    torch.mul(first, cos, out=one).addcmul_(second, sin)
    torch.mul(second, cos, out=two).addcmul_(first, sin, value=-1)
