"""Opens a base and an adapter with plain transformers and peft, and prints as JSON how far their logits are off.

It runs in a process of its own and imports nothing of this studio, so that it meets the folders as a stranger would.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

LIMIT = 1e-4  # share of the largest logit; sums in another order move fp32 by a tenth of that
QUESTION = "سلام! حال شما چطور است؟"


def main(base: Path, adapter: Path, expected: Path) -> dict[str, Any]:
    """Load, compare, merge, compare again.

    `expected` is a safetensors file with ``ids.N`` ``(tokens)`` and ``logits.N`` ``(tokens, rows)``, and in its
    metadata `texts`, the JSON list of the sentences that the first ``ids.N`` were cut from, `rows` that the tables
    must be made longer to (0 for none) and `dtype`.
    """
    with safe_open(expected, framework="pt") as file:
        about = file.metadata()
        count = sum(name.startswith("ids.") for name in file.keys())  # noqa: SIM118 (it cannot be iterated)
        wanted = [(file.get_tensor(f"ids.{place}"), file.get_tensor(f"logits.{place}")) for place in range(count)]
    tokenizer = AutoTokenizer.from_pretrained(adapter, local_files_only=True)
    failed = check_tokenizer(tokenizer, json.loads(about["texts"]), [ids for ids, _ in wanted])
    dtype, rows = getattr(torch, about["dtype"]), int(about["rows"])
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True, dtype=dtype)
    tied = is_tied(model)
    if rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    model = PeftModel.from_pretrained(model, adapter).eval()
    difference = compare(model, wanted)
    if not difference <= LIMIT:  # written so that a NaN fails too
        failed.append(("logits", f"{difference:.2g}"))
    merged = None
    if dtype == torch.float32:  # in bf16 a correct merge rounds away more than any limit worth having
        model = model.merge_and_unload()
        merged = compare(model, wanted)
        if is_tied(model) != tied:
            merged = float("inf")  # saved, such a model would lose one of its two tables
    return {
        "failed": failed,
        "difference": difference,
        "merged": merged,
        "merges": None if merged is None else merged <= LIMIT,
        "template": bool(tokenizer.chat_template),
        "transformers": transformers.__version__,
        "peft": peft.__version__,
    }


def check_tokenizer(tokenizer: Any, texts: list[str], ids: list[torch.Tensor]) -> list[tuple[str, str]]:
    """What is wrong with the tokenizer: sentences that it cuts otherwise, a template that loses the question."""
    failed = []
    for text, wanted in zip(texts, ids, strict=False):
        if tokenizer(text, add_special_tokens=False)["input_ids"] != wanted.tolist():
            failed.append(("tokenizer", text))
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": QUESTION}]
        if QUESTION not in str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)):
            failed.append(("template", "the question is not in the prompt"))
    return failed


def is_tied(model: Any) -> bool:
    """Whether embedding and head are one table."""
    return bool(model.get_input_embeddings().weight.data_ptr() == model.get_output_embeddings().weight.data_ptr())


def compare(model: Any, wanted: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Largest difference of any logit, as a share of the largest logit of its text; NaN if one is none."""
    worst = 0.0
    for ids, logits in wanted:
        with torch.inference_mode():
            found = model(input_ids=ids[None]).logits[0].float()
        if found.shape[0] != logits.shape[0] or found.shape[1] > logits.shape[1]:
            return float("inf")
        # The studio's own tables may be longer by rows that belong to no token.
        share = (found - logits[:, : found.shape[1]]).abs().max() / logits.abs().max().clamp(min=1.0)
        if not share <= worst:
            worst = float(share)
        if share.isnan():
            break
    return worst


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(Path, sys.argv[1:]))) + "\n")
