"""What a model folder holds besides its weights: config, how to generate, the terms, and how text becomes ids."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Dtype = Literal["bfloat16", "float16", "float32"]

_MODEL = ("generation_config.json", "preprocessor_config.json", "processor_config.json")
_TERMS = ("LICENSE*", "NOTICE*", "USE_POLICY*", "*TERMS*")
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*",
)
# They tell how the base's weights were stored or where it lay; neither is true of the new folder.
_MARKS = ("quantization_config", "_name_or_path", "gguf_file")


def write_companions(base: Path, tokenizer: Path, folder: Path, config: Mapping[str, Any], dtype: str) -> None:
    """Fill `folder` with everything but weights.

    Args:
        base: Gives the generation config, how pictures are prepared, and the terms.
        tokenizer: Gives the tokenizer with its chat template.
        folder: The new model.
        config: Of the base; written with `dtype` and without marks of quantisation.
        dtype: Of the new weights, such as ``"bfloat16"``.
    """
    kept = {key: value for key, value in config.items() if key not in _MARKS}
    write_json(folder / "config.json", {"dtype": dtype} | _with_dtype(kept, dtype))
    for name in _MODEL:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    write_texts(base, tokenizer, folder)


def write_texts(base: Path, tokenizer: Path, folder: Path) -> None:
    """Copy the terms of `base` and the files of `tokenizer`, its chat template among them, into `folder`."""
    for source, patterns in ((base, _TERMS), (tokenizer, _TOKENIZER)):
        for path in (path for pattern in patterns for path in source.glob(pattern) if path.is_file()):
            target = folder / path.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    _fix_class(folder)


def _fix_class(folder: Path) -> None:
    # Training and chat read tokenizer.json as it stands. Under the class of a family transformers 5 may rebuild the
    # splitting by rules of its own, and older versions do not know the class it writes; this name all of them read.
    path = folder / "tokenizer_config.json"
    if path.is_file() and (folder / "tokenizer.json").is_file():
        found = json.loads(path.read_text(encoding="utf8"))
        write_json(path, found | {"tokenizer_class": "PreTrainedTokenizerFast"})


def _with_dtype(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    # Multimodal configs name the type of each tower; older files call it torch_dtype.
    nested = {key: _with_dtype(value, dtype) if isinstance(value, dict) else value for key, value in config.items()}
    return nested | {key: dtype for key in ("dtype", "torch_dtype") if key in config}


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file as transformers does, readable for people."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
