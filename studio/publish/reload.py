"""Opens a model folder with transformers alone and prints as JSON what it saw.

It runs in a process of its own and imports nothing of this studio, so that it meets the folder as a stranger would.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

NEW_TOKENS = 5
SENTENCES = ("کتاب‌های ۱۲ دانش‌آموز، ۳۴۵ ریال!", "In 2024 we'd read 1,234 books.", "def f(x):\n\treturn x[10:]  # ok")


# What a merge changes on purpose, or the library by itself; the number of rows is compared apart.
_OTHERWISE = ("dtype", "torch_dtype", "_name_or_path", "quantization_config", "transformers_version", "vocab_size")


def main(folder: Path, expected: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Load `folder`, look at it from all sides, hold it against `expected`, and answer five tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model, loading = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, dtype="auto", output_loading_info=True
    )
    inputs, outputs = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    config = model.config.get_text_config()
    tied = inputs.data_ptr() == outputs.data_ptr()
    failed = [("weights", f"{kind}: {min(map(str, names))}") for kind, names in loading.items() if names]

    def expect(check: str, holds: bool, reason: str) -> None:
        if not holds:
            failed.append((check, reason))

    rows = inputs.shape[0]
    sizes = (rows, config.vocab_size, outputs.shape[0])
    expect("embedding", len(set(sizes)) == 1, f"{sizes}")
    # Without tokens added after it: Gemma-3's text models know one for pictures that has no row and never comes up.
    expect("vocabulary", tokenizer.vocab_size <= rows, f"{tokenizer.vocab_size} > {rows}")
    expect("tied", tied == bool(model.config.tie_word_embeddings), f"{tied}, {model.config.tie_word_embeddings}")
    for check, holder in (("config", config), ("generation", model.generation_config)):
        strange = [number for number in special_ids(holder) if not 0 <= number < rows]
        expect(check, not strange, f"{strange}")
    odd = differently_cut(tokenizer, folder / "tokenizer.json")
    expect("tokenizer", not odd, f"{odd}")
    prompt, problem = render(tokenizer)
    expect("template", problem is None, str(problem))
    expect("prompt", max(tokenizer(prompt)["input_ids"]) < rows, prompt)
    found = {**described(folder, tokenizer), "rows": rows}
    for name, wanted in (expected or {}).items():
        expect(name, wanted is None or plain(found[name]) == wanted, difference(wanted, plain(found[name])))
    return {
        "architecture": type(model).__name__,
        "rows": rows,
        "vocabulary": len(tokenizer),
        "tied": tied,
        "template": bool(tokenizer.chat_template),
        "compared": list(expected or {}),
        "text": "" if failed else generate(model, tokenizer, prompt),
        "failed": failed,
    }


def described(folder: Path, tokenizer: Any) -> dict[str, Any]:
    """How `folder` is configured, and how `tokenizer` cuts and frames text; only what a merge must not change."""
    prompt, problem = render(tokenizer)
    try:
        generation = GenerationConfig.from_pretrained(folder, local_files_only=True).to_dict()
    except OSError:  # a folder without one
        generation = None
    special = {name: [token, tokenizer.convert_tokens_to_ids(token)] for name, token in named_tokens(tokenizer)}
    return {
        "tokens": hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest(),
        "special_tokens": special,
        "ids": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in SENTENCES],
        "chat": [prompt, problem],
        "base_config": without(AutoConfig.from_pretrained(folder, local_files_only=True).to_dict()),
        "base_generation": without(generation),
    }


def named_tokens(tokenizer: Any) -> list[tuple[str, str]]:
    """The special tokens that have a name, such as ``eos_token``."""
    named = tokenizer.special_tokens_map.items()
    return [(name, str(token)) for name, token in named if isinstance(token, str) and name.endswith("_token")]


def without(config: Any) -> Any:
    """`config` without what a merge may change, at every depth."""
    if isinstance(config, dict):
        return {key: without(value) for key, value in config.items() if key not in _OTHERWISE}
    return config


def plain(found: Any) -> Any:
    """`found` as it comes out of JSON."""
    return json.loads(json.dumps(found, default=str))


def difference(wanted: Any, found: Any) -> str:
    """The first place where two descriptions part."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *found]:
            if wanted.get(key) != found.get(key):
                return f"{key}: {difference(wanted.get(key), found.get(key))}"
    return f"{str(wanted)[:100]} != {str(found)[:100]}"


def differently_cut(tokenizer: Any, file: Path) -> list[str]:
    """Sentences that transformers turns into other ids than the tokenizer's file does by itself."""
    if not file.is_file():
        return []
    plain = Tokenizer.from_file(str(file))
    ids = {text: plain.encode(text, add_special_tokens=False).ids for text in SENTENCES}
    return [text for text in SENTENCES if tokenizer(text, add_special_tokens=False)["input_ids"] != ids[text]]


def special_ids(holder: Any) -> list[int]:
    """The token ids that a config names; ``eos_token_id`` may be a list."""
    values = [getattr(holder, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")]
    numbers = [number for value in values for number in (value if isinstance(value, list) else [value])]
    return [number for number in numbers if number is not None]


def render(tokenizer: Any) -> tuple[str, str | None]:
    """A prompt through the chat template, if there is one, and what went wrong."""
    question = "سلام! حال شما چطور است؟"
    if not tokenizer.chat_template:
        return question, None
    try:
        turns = [{"role": "user", "content": question}]
        prompt = str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
    except Exception as error:  # a template is a program of somebody else: any error in it is the finding
        return question, f"{type(error).__name__}: {error}"
    return prompt, None if question in prompt else "the question is not in the prompt"


def generate(model: Any, tokenizer: Any, prompt: str) -> str:
    """Five greedy tokens after `prompt`."""
    inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
    inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False)
    new = ids[0, inputs["input_ids"].shape[1] :]
    if new.shape[0] != NEW_TOKENS:
        raise RuntimeError(f"{new.shape[0]} of {NEW_TOKENS} tokens")
    return str(tokenizer.decode(new))


if __name__ == "__main__":
    seen = main(Path(sys.argv[1]), json.loads(sys.stdin.read() or "{}"))
    sys.stdout.write(json.dumps(seen, ensure_ascii=False) + "\n")
