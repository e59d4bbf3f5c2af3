"""A LoRA adapter as the merge needs it: for each tensor of the base, the two factors and their scale."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.publish.shards import Shard, read_shard

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"

_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

# Whatever here is on changes more than W + scale * B @ A, or the base itself; merging it as plain LoRA would be wrong.
_OTHER_METHODS = (
    "use_dora",
    "modules_to_save",
    "trainable_token_indices",
    "fan_in_fan_out",
    "lora_bias",
    "layer_replication",
    "target_parameters",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
)
_PLAIN_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, slots=True)
class Update:
    """What an adapter adds to one weight of shape ``(out, in)``: ``scale * B @ A``.

    `down` is the key of A ``(rank, in)`` and `up` that of B ``(out, rank)`` in the adapter file.
    """

    down: str
    up: str
    scale: float


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk: its one weight file, and its updates under the names of the base's tensors."""

    shard: Shard
    updates: Mapping[str, Update]


def read_adapter(folder: Path) -> Adapter:
    """Read a PEFT LoRA adapter without loading its weights.

    Args:
        folder: Holds ``adapter_config.json`` and ``adapter_model.safetensors``.

    Raises:
        StudioError: ``publish.no_adapter``; ``publish.adapter_broken`` naming a key or file; or
            ``publish.adapter_unsupported`` naming the `feature` that plain LoRA does not have.
    """
    if not (folder / WEIGHTS).is_file() or not (folder / CONFIG).is_file():
        raise StudioError("publish.no_adapter", folder=folder.name)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf8"))
    except ValueError as error:
        raise StudioError("publish.adapter_broken", key=CONFIG) from error
    _refuse_other_methods(config)
    try:
        shard = read_shard(folder / WEIGHTS)
    except StudioError as error:
        raise StudioError("publish.adapter_broken", key=WEIGHTS) from error
    modules: dict[str, dict[str, str]] = {}
    for key in shard.entries:
        match = _KEY.fullmatch(key)
        if match is None:
            raise StudioError("publish.adapter_unsupported", feature=key)
        modules.setdefault(match["module"], {})[match["side"]] = key
    if not modules:
        raise StudioError("publish.adapter_broken", key=WEIGHTS)
    return Adapter(
        shard, {f"{module}.weight": _update(module, keys, shard, config) for module, keys in modules.items()}
    )


def _refuse_other_methods(config: Mapping[str, Any]) -> None:
    method = str(config.get("peft_type", "LORA"))
    if method != "LORA":
        raise StudioError("publish.adapter_unsupported", feature=method)
    for name in _OTHER_METHODS:
        if config.get(name):
            raise StudioError("publish.adapter_unsupported", feature=name)
    if config.get("bias", "none") != "none":
        raise StudioError("publish.adapter_unsupported", feature="bias")
    # PiSSA, OLoRA, LoftQ and their like rewrite the base before training; their factors do not fit the base as it was.
    if config.get("init_lora_weights", True) not in _PLAIN_STARTS:
        raise StudioError("publish.adapter_unsupported", feature=str(config["init_lora_weights"]))


def _update(module: str, keys: Mapping[str, str], shard: Shard, config: Mapping[str, Any]) -> Update:
    if set(keys) != {"A", "B"}:
        raise StudioError("publish.adapter_broken", key=next(iter(keys.values())))
    rank = int(_by_pattern(config.get("rank_pattern"), module, config["r"]))
    alpha = float(_by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"]))
    down, up = shard.entries[keys["A"]].shape, shard.entries[keys["B"]].shape
    if len(down) != 2 or len(up) != 2 or down[0] != rank or up[1] != rank:
        raise StudioError("publish.adapter_broken", key=keys["A"])
    return Update(keys["A"], keys["B"], alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _by_pattern(patterns: Mapping[str, float] | None, module: str, default: float) -> float:
    # PEFT's rule: the first pattern that matches the end of the module's name, as a regular expression, decides.
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
