"""A model's tokenizer without torch, and the tokens that mean something special to it."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import StudioError
from studio.models.files import TOKENIZER, read_config

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in ``tokenizer.json``; kept in memory until the file changes, so never alter it.

    Raises:
        StudioError: ``model.no_tokenizer`` or ``model.broken_file``.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        raise StudioError("model.no_tokenizer", folder=str(folder))
    facts = path.stat()
    return _load(path.resolve(), facts.st_mtime_ns, facts.st_size)


# Gemma's 262,144 tokens take a second to read, and a page asks at every key press: keep the last few.
@lru_cache(maxsize=4)
def _load(path: Path, changed: int, size: int) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for whatever is wrong with a file
        raise StudioError("model.broken_file", folder=str(path.parent), file=path.name) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def special_tokens(folder: Path) -> dict[str, str]:
    """The texts of bos, eos, unk and pad, as chat templates name them; what a model lacks is left out."""
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf8"))
    except ValueError as error:
        raise StudioError("model.broken_file", folder=str(folder), file=path.name) from error
    found = {name: config.get(name) for name in _SPECIAL}
    texts = {name: token["content"] if isinstance(token, dict) else token for name, token in found.items()}
    return {name: text for name, text in texts.items() if text}


def end_tokens(folder: Path) -> tuple[int, ...]:
    """Ids that end an answer: ``eos_token_id`` of the generation config, else of the config."""
    path = folder / "generation_config.json"
    found = json.loads(path.read_text(encoding="utf8")).get("eos_token_id") if path.is_file() else None
    if found is None:
        config = read_config(folder)
        found = config.get("eos_token_id", (config.get("text_config") or {}).get("eos_token_id"))
    if found is None:
        return ()
    return tuple(found) if isinstance(found, list) else (int(found),)
