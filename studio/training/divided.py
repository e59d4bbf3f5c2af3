"""A base whose decoder layers lie in parts on several cards: for one that does not fit a single card.

torch's FSDP2 keeps a part of every frozen matrix on each card, and brings a layer together while it computes, forward
and backward. The adapter, the rows that learn and the tables of the vocabulary stay whole everywhere: gradients are
summed as without it (`Ranks.sum_gradients`), and the loss reads the head as it is. ZeRO-2 would divide gradients and
states of the optimizer, which of an adapter are small: of a 7B base in bf16 it is the 13 GB of layers that do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard

from studio.errors import StudioError
from studio.training.ranks import Ranks
from studio.training.words import Words

Loaded = tuple[Any, Any, Words | None]
"""A `PeftModel`, its tokenizer, and the run's vocabulary."""


def load_divided(ranks: Ranks, device: str, load: Callable[[str], Loaded]) -> Loaded:
    """What `load` gives for ``"cpu"``, on `device`, with this process's part of each layer; every process calls this.

    One loads after the other: until it has its part, each holds the whole base in the memory of the machine.

    Raises:
        StudioError: ``training.family_not_supported`` for a body without a list of layers; what `load` raises.
    """
    mesh = init_device_mesh(device, (ranks.count,))
    for turn in range(ranks.count):
        if turn == ranks.number:
            model, tokenizer, words = load("cpu")
            _divide(model, mesh)
            model.to(device)
            if words is not None:
                words.trained.to(device)
        ranks.meet()
    # What FSDP gathers into is made by the first forward. That may be a sample answer, under `inference_mode`: no
    # backward could then ever keep it.
    with torch.no_grad():
        model.get_base_model().get_decoder()(input_ids=torch.zeros(1, 1, dtype=torch.long, device=device))
    return model, tokenizer, words


def _divide(model: Any, mesh: DeviceMesh) -> None:
    body = model.get_base_model().get_decoder()
    layers = getattr(body, "layers", None)
    if not isinstance(layers, torch.nn.ModuleList):
        raise StudioError("training.family_not_supported", type=str(model.config.model_type))
    learning = {weight for name, weight in model.named_parameters() if "lora_" in name}
    divided = set(layers.parameters()) - learning
    for layer in layers:
        fully_shard(layer, mesh=mesh, ignored_params=learning)
    # The root holds nothing in parts, but gathers ahead; without one each layer would be one, and stay whole.
    fully_shard(body, mesh=mesh, ignored_params=set(body.parameters()) - divided)
