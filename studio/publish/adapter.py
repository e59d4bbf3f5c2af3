"""A LoRA or DoRA adapter as the merge needs it: for each weight the factors, their scale and maybe lengths of rows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.publish.shards import Shard, read_shard

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"

_KEY = re.compile(
    r"base_model\.model\.(?P<module>.+)\.lora_(?P<part>A\.weight|B\.weight|magnitude_vector)(?:\.weight)?"
)
_DOWN, _UP, _MAGNITUDE = "A.weight", "B.weight", "magnitude_vector"

# Whatever here is on changes more than W + scale * B @ A, or the base itself; merging it as plain LoRA would be wrong.
_OTHER_METHODS = (
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
_WRAPPERS = frozenset(("model", "language_model", "text_model", "transformer"))
_PLAIN_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True, slots=True)
class Update:
    """What an adapter makes of one weight of shape ``(out, in)``: ``W + scale * B @ A``.

    `down` is the key of A ``(rank, in)`` and `up` that of B ``(out, rank)`` in the adapter file. `magnitude` is
    that of DoRA's vector ``(out,)``, the length that each row of the sum is brought to; None for plain LoRA.
    """

    down: str
    up: str
    scale: float
    magnitude: str | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk: its one weight file, and its updates by the names that weights have in the loaded model."""

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
        modules.setdefault(match["module"], {})[match["part"]] = key
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
    wanted = {_DOWN, _UP, _MAGNITUDE} if config.get("use_dora") else {_DOWN, _UP}
    if set(keys) != wanted:
        raise StudioError("publish.adapter_broken", key=next(iter(keys.values())))
    rank = int(_by_pattern(config.get("rank_pattern"), module, config["r"]))
    alpha = float(_by_pattern(config.get("alpha_pattern"), module, config["lora_alpha"]))
    down, up = shard.entries[keys[_DOWN]].shape, shard.entries[keys[_UP]].shape
    if len(down) != 2 or len(up) != 2 or down[0] != rank or up[1] != rank:
        raise StudioError("publish.adapter_broken", key=keys[_DOWN])
    magnitude = keys.get(_MAGNITUDE)
    if magnitude is not None and shard.entries[magnitude].shape != up[:1]:
        raise StudioError("publish.adapter_broken", key=magnitude)
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    return Update(keys[_DOWN], keys[_UP], scale, magnitude)


def _by_pattern(patterns: Mapping[str, float] | None, module: str, default: float) -> float:
    # PEFT's rule: the first pattern that matches the end of the module's name, as a regular expression, decides.
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def find_tensor(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that a file gives the tensor which the loaded model calls `name`; None if none or several.

    A language model inside a larger one moves when it is loaded: Gemma-3 with pictures calls
    ``language_model.model.layers.0`` on disk ``model.language_model.layers.0`` in memory, and checkpoints of a bare
    body lack the ``model.`` before it.
    """
    found = [each for each in names if each == name] or [each for each in names if _bare(each) == _bare(name)]
    return found[0] if len(found) == 1 else None


def _bare(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.split(".") if part not in _WRAPPERS)
