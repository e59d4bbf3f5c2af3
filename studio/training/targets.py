"""Which layers an adapter goes on: those of the language model, never of a tower for pictures or sound."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from studio.errors import StudioError

ALL = "all-linear"  # peft's own word for every linear layer but the head


def find_targets(model: Any, names: Literal["auto"] | Sequence[str]) -> str | list[str]:
    """What peft shall adapt in `model`.

    In Gemma-3, 3n and 4 peft's own ``all-linear`` and every plain name also hit the towers, which no text ever runs
    through; there a pattern holds the adapter to the language model.

    Args:
        model: A `transformers` causal model, maybe with other parts beside its language model.
        names: Names of layers, whole or their end after a point; ``auto`` for all linear layers but the head.

    Raises:
        StudioError: ``training.bad_targets`` if no layer of the language model has such a name.
    """
    decoder = model.get_decoder()
    prefix = next(name for name, module in model.named_modules() if module is decoder)
    inside, outside = _linear_layers(model, prefix)
    if not outside:
        return ALL if names == "auto" else list(names)
    wanted = sorted({_ending(name) for name in inside}) if names == "auto" else sorted(names)
    endings = "|".join(re.escape(name) for name in wanted)
    pattern = rf"{re.escape(prefix)}\.(?:.*\.)?(?:{endings})"
    if not any(re.fullmatch(pattern, name) for name in inside):
        raise StudioError("training.bad_targets", targets=str(list(wanted)))
    return pattern


def _linear_layers(model: Any, prefix: str) -> tuple[list[str], list[str]]:
    head = model.get_output_embeddings()
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]
    inside = [name for name in names if name.startswith(f"{prefix}.")]
    return inside, [name for name in names if name not in set(inside)]


def _ending(name: str) -> str:
    # the last name; in a list of layers, such as ``altup_projections.0`` of Gemma-3n, the list's name before it
    *_, parent, last = name.split(".")
    return f"{parent}.{last}" if last.isdecimal() else last
