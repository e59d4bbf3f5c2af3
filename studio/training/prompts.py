"""Three fixed Persian prompts, answered at every checkpoint, so that a person can read how the model changes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

PROMPTS = (
    "سلام! حالت چطور است؟",
    "پایتخت ایران کجاست؟",
    "یک داستان کوتاه دربارهٔ باران بنویس.",
)
SMOKE_TOKENS = 3  # of a smoke run: to write 48 takes as long as a step, and a smoke run has few of those
NEW_TOKENS = 48  # about two short sentences for a tokenizer that spends a token on each letter


@torch.inference_mode()  # type: ignore[untyped-decorator]
def answer(
    model: Any, tokenizer: Any, prompts: list[str], new_tokens: int = NEW_TOKENS, *, together: bool = False
) -> list[tuple[str, int]]:
    """Greedy answers to rendered `prompts` in one batch; the random state and the mode of `model` are left as found.

    With a base that is divided among processes, all ask `together`, and none stops before the others.

    Returns:
        For each prompt the answer's text and its number of tokens.
    """
    rows = [tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
    longest = max(len(row) for row in rows)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=model.device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=model.device)
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            output = model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=new_tokens,
                pad_token_id=pad,
                use_cache=True,
                synced_gpus=together,
            )
    finally:
        model.train(training)
    return [_text(tokenizer, row[longest:].tolist(), model.generation_config.eos_token_id) for row in output]


def _text(tokenizer: Any, ids: list[int], ends: int | list[int] | None) -> tuple[str, int]:
    stops = {ends} if isinstance(ends, int) else set(ends or [])
    kept = next((ids[: index + 1] for index, token in enumerate(ids) if token in stops), ids)
    # Cut at its length, an answer may end in half a letter: Persian letters take two tokens here and there.
    return tokenizer.decode(kept, skip_special_tokens=True).rstrip("\ufffd").strip(), len(kept)


def append_answers(path: Path, stage: int, step: int, answers: list[tuple[str, int]]) -> None:
    """Add one line of JSON for each of `PROMPTS` to `path`."""
    lines = [
        json.dumps(
            {"stage": stage, "step": step, "time": time.time(), "prompt": prompt, "answer": text, "tokens": tokens},
            ensure_ascii=False,
        )
        for prompt, (text, tokens) in zip(PROMPTS, answers, strict=True)
    ]
    with path.open("a", encoding="utf8") as file:
        file.write("\n".join(lines) + "\n")
