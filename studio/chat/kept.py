"""The cache of a conversation, kept so that its next turn reads only what is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kept:
    """`cache` holds keys and values of `ids`, the first `prompt` of which were asked and the rest answered."""

    ids: list[int]
    prompt: int
    cache: Any


def continue_from(kept: Kept | None, ids: list[int], config: Any) -> tuple[Any, int]:
    """A cache to read `ids` into, and how many of them it already holds.

    It is taken over only when `ids` go beyond the whole earlier prompt into its answer, that is for a next turn. A
    retry or a new conversation under the same system message starts afresh: a prompt read in two parts differs in its
    last bits, and a greedy answer would no longer be exactly that of plain ``generate``.

    Args:
        kept: Of the turn before, on the same side; its cache is changed in place.
        ids: The new prompt.
        config: The model's, which decides the kind of each layer's cache.
    """
    from transformers import DynamicCache

    if kept is not None:
        shared = _shared_prefix(kept.ids, ids)
        drop = len(kept.ids) - shared
        if kept.prompt < shared < len(ids) and (drop == 0 or _can_drop(kept.cache)):
            if drop:
                kept.cache.crop(-drop)
            return kept.cache, shared
    return DynamicCache(config=config.get_text_config(decoder=True)), 0


def _shared_prefix(first: list[int], second: list[int]) -> int:
    for index, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return index
    return min(len(first), len(second))


def _can_drop(cache: Any) -> bool:
    # A sliding window that has already let old tokens go, or a recurrent state, cannot be rolled back.
    slid = any(
        sliding and layer.get_seq_length() >= layer.sliding_window
        for layer, sliding in zip(cache.layers, cache.is_sliding, strict=True)
    )
    return bool(cache.is_croppable) and not slid
