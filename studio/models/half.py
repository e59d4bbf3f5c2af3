"""Whether a model can be computed in fp16, whose numbers end at 65,504."""

from __future__ import annotations

from typing import Any

import torch

PROBE = 64  # tokens from all over the vocabulary


@torch.no_grad()  # type: ignore[untyped-decorator]
def leaves_fp16(model: Any) -> bool:
    """Whether activations of `model`, which is held in fp16, leave its range: Gemma's do.

    The first token of a text is the one to look at: in Gemma-3-270m activations reach 27,000 without its own start
    token, and 104,000 with it.
    """
    rows = len(model.get_input_embeddings().weight)
    ids = torch.linspace(0, rows - 1, PROBE, device=model.device).long()[None]
    start = model.config.get_text_config().bos_token_id
    if start is not None:
        ids[0, 0] = start
    hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
    return not bool(hidden.isfinite().all())
