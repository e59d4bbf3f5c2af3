"""What a tokenizer.json is: byte-level BPE, BPE with byte fallback, or a kind that cannot be extended and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from studio.errors import StudioError
from studio.models.files import TOKENIZER

Kind = Literal["byte_level", "byte_fallback"]

PREFIX = "▁"
MODEL = "tokenizer.model"

_OWN_TABLES = {"gemma3n", "gemma3n_text", "gemma4", "gemma4_text"}  # per-layer tables unless the config says 0
_OWN_TABLES_BY_DEFAULT = 256


@dataclass(frozen=True, slots=True)
class Family:
    """A tokenizer that can be extended.

    `definition` is its ``tokenizer.json``. `rows` is the first free id: one more than the highest of the vocabulary
    and the added tokens. `model_file` is the ``tokenizer.model`` beside it, None where there is none.
    """

    kind: Kind
    folder: Path
    definition: dict[str, Any]
    rows: int
    model_file: Path | None

    @property
    def vocabulary(self) -> dict[str, int]:
        found: dict[str, int] = self.definition["model"]["vocab"]
        return found


def read_family(folder: Path) -> Family:
    """Read the tokenizer in `folder` and say which kind it is.

    Raises:
        StudioError: ``model.no_tokenizer``, ``model.broken_file``; ``vocabulary.unigram``, ``vocabulary.no_merges``,
            ``vocabulary.no_bytes`` or ``vocabulary.per_layer_tables`` for what cannot be extended.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        raise StudioError("model.no_tokenizer", folder=str(folder))
    definition = _read(path)
    refuse_tables(folder)
    kind = find_kind(definition, folder)
    model_file = folder / MODEL if kind == "byte_fallback" and (folder / MODEL).is_file() else None
    return Family(kind, folder, definition, free_id(definition), model_file)


def find_kind(definition: dict[str, Any], folder: Path) -> Kind:
    """The kind of the tokenizer `definition`, found in `folder`.

    Raises:
        StudioError: ``vocabulary.unigram``, ``vocabulary.no_merges`` or ``vocabulary.no_bytes``.
    """
    model = definition.get("model") or {}
    kind = model.get("type", "BPE" if "merges" in model else "")
    if kind == "Unigram":
        raise StudioError("vocabulary.unigram", folder=folder.name)
    if kind != "BPE" or not model.get("merges") or not model.get("vocab"):
        raise StudioError("vocabulary.no_merges", folder=folder.name, kind=kind or "?")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise StudioError("vocabulary.no_bytes", folder=folder.name)
    if _holds(definition.get("pre_tokenizer"), "ByteLevel"):
        return "byte_level"
    if model.get("byte_fallback"):
        return "byte_fallback"
    raise StudioError("vocabulary.no_bytes", folder=folder.name)


def refuse_tables(folder: Path) -> None:
    """Refuse a model that keeps more tables by token id than embedding and head.

    Gemma-3n and the E models of Gemma-4 have a table per layer, and their ids after the vocabulary belong to pictures
    and sound: the first new id of Gemma-3n goes to the audio embedder, which raises.

    Raises:
        StudioError: ``vocabulary.per_layer_tables``.
    """
    path = folder / "config.json"
    config = _read(path) if path.is_file() else {}
    text = config.get("text_config") or {}
    types = {config.get("model_type"), text.get("model_type")} & _OWN_TABLES
    default = _OWN_TABLES_BY_DEFAULT if types else 0
    per_layer = text.get("hidden_size_per_layer_input", config.get("hidden_size_per_layer_input", default))
    after = any((config.get(part) or {}).get("vocab_offset") for part in ("vision_config", "audio_config"))
    path = folder / "tokenizer_config.json"
    processor = str((_read(path) if path.is_file() else {}).get("processor_class") or "")
    if per_layer or after or processor.startswith("Gemma3n"):
        raise StudioError("vocabulary.per_layer_tables", model=next(iter(types), None) or processor or folder.name)


def free_id(definition: dict[str, Any]) -> int:
    """The first id after the vocabulary and the added tokens."""
    added: list[int] = [token["id"] for token in definition.get("added_tokens") or []]
    taken: list[int] = [*definition["model"]["vocab"].values(), *added]
    return max(taken) + 1


def _holds(part: Any, kind: str) -> bool:
    """Whether a pre-tokenizer is of `kind` or a sequence with one."""
    if isinstance(part, dict):
        return part.get("type") == kind or any(_holds(value, kind) for value in part.values())
    return isinstance(part, list) and any(_holds(each, kind) for each in part)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise StudioError("model.broken_file", folder=str(path.parent), file=path.name) from error
    if not isinstance(found, dict):
        raise StudioError("model.broken_file", folder=str(path.parent), file=path.name)
    return found
