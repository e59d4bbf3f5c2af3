"""From a model reference to its files on disk: weights, tokenizer, config and, for a run, the adapter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.models import foreign_code
from studio.models.catalogue import catalogue, starter
from studio.models.reference import ModelReference, parse_reference
from studio.models.source import whole_source
from studio.models.weights import weight_files
from studio.recipes import load_recipe
from studio.settings import Settings

TOKENIZER = "tokenizer.json"
ROWS = "new_rows.safetensors"
_ADAPTER = ("adapter_model.safetensors", "adapter_config.json")
_STAGE = re.compile(r"(?P<place>\d+)-(?P<name>.+)")
_CHECKPOINT = re.compile(r"step-(?P<step>\d+)")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model lies.

    `base` is the reference of the base model and `folder` holds its weights, config and tokenizer. `tokenizer_folder`
    is the same, or the run's ``vocabulary/``. `adapter` holds a run's ``adapter_model.safetensors`` and
    ``adapter_config.json``; None for a base model. `rows` is its ``new_rows.safetensors``, None unless the run has a
    vocabulary of its own. `trusted` says whether the owner lets the base's own Python files run.
    """

    reference: str
    base: str
    folder: Path
    tokenizer_folder: Path
    adapter: Path | None = None
    rows: Path | None = None
    trusted: bool = False


def locate(reference: str, settings: Settings) -> ModelFiles:
    """Find the files of a model; nothing is fetched and only headers are read.

    Raises:
        StudioError: ``model.bad_reference``, ``not_fetched``, ``no_such_folder``, ``no_such_starter``, ``no_config``,
            ``no_weights``, ``only_pickle``, ``missing_shard``, ``broken_file``; for a run ``no_such_run``,
            ``no_such_stage``, ``no_checkpoint`` or ``base_is_run`` (all ``model.…``).
    """
    parsed = parse_reference(reference)
    if parsed.scheme == "run":
        return _locate_run(parsed, settings)
    folder = _folder(parsed, settings)
    weight_files(folder)
    trusted = "auto_map" in read_config(folder) and foreign_code.read(str(parsed), folder, settings).trusted
    return ModelFiles(str(parsed), str(parsed), folder, folder, trusted=trusted)


def locate_tokenizer(reference: str, settings: Settings) -> Path:
    """Folder with the tokenizer of a model; a ``local:`` folder needs nothing else.

    Raises:
        StudioError: ``model.no_tokenizer`` if ``tokenizer.json`` is missing, or as :func:`locate`.
    """
    parsed = parse_reference(reference)
    if parsed.scheme == "run":
        run = _run_folder(parsed, settings)
        own = run / "vocabulary"
        if (own / TOKENIZER).is_file():
            return own
        return locate_tokenizer(load_recipe(run / "recipe.yaml").base, settings)
    folder = _folder(parsed, settings)
    if not (folder / TOKENIZER).is_file():
        raise StudioError("model.no_tokenizer", folder=str(folder))
    return folder


def is_fetched(reference: str, settings: Settings) -> bool:
    """Whether the model is whole on disk; for a run, whether its base is.

    Raises:
        StudioError: ``model.bad_reference``, ``model.no_such_starter`` or ``model.no_such_run``.
    """
    parsed = parse_reference(reference)
    match parsed.scheme:
        case "local":
            return Path(parsed.name).is_dir()
        case "run":
            return is_fetched(load_recipe(_run_folder(parsed, settings) / "recipe.yaml").base, settings)
    return whole_source(fetched_folder(parsed, settings)) is not None


def fetched_folder(reference: ModelReference, settings: Settings) -> Path:
    """Where a ``hub:`` or ``starter:`` model lies once fetched."""
    if reference.scheme == "starter":
        starter(reference.name)
        return settings.models / f"starter--{reference.name}"
    revision = (reference.revision or "main").replace("/", "--")
    return settings.models / f"hub--{reference.name.replace('/', '--')}--{revision}"


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a model folder.

    Raises:
        StudioError: ``model.no_config`` or ``model.broken_file``.
    """
    if not (folder / "config.json").is_file():
        raise StudioError("model.no_config", folder=str(folder))
    return _read_json(folder / "config.json")


def document_start(folder: Path) -> int | None:
    """Id of the token that stood between documents when the base was pretrained.

    Its family's in ``presets/catalogue.yaml``, else the config's ``bos_token_id``, else ``eos_token_id``; None when
    the config names neither.
    """
    config = read_config(folder)
    text = config.get("text_config") or {}
    kind = config.get("model_type")
    for family in catalogue().families:
        if kind in family.model_types:
            added = _added_tokens(folder)
            if all(added.get(token) == place for token, place in family.tokens.items()):
                return family.tokens[family.document_start]
    for key in ("bos_token_id", "eos_token_id"):
        found = config.get(key, text.get(key))
        if isinstance(found, list):
            found = found[0] if found else None
        if found is not None:
            return int(found)
    return None


def chat_template(folder: Path) -> str | None:
    """The Jinja template that turns messages into text, or None for a model that has none.

    Raises:
        StudioError: ``model.broken_file``.
    """
    if (path := folder / "chat_template.jinja").is_file():
        return path.read_text(encoding="utf8")
    path = folder / "tokenizer_config.json"
    found = _read_json(path).get("chat_template") if path.is_file() else None
    if isinstance(found, list):  # several named templates, as some tool-using models have
        named = {entry["name"]: entry["template"] for entry in found}
        found = named.get("default")
    return found


def _folder(parsed: ModelReference, settings: Settings) -> Path:
    if parsed.scheme == "local":
        if not Path(parsed.name).is_dir():
            raise StudioError("model.no_such_folder", folder=parsed.name)
        return Path(parsed.name)
    folder = fetched_folder(parsed, settings)
    if whole_source(folder) is None:
        raise StudioError("model.not_fetched", reference=str(parsed))
    return folder


def _run_folder(parsed: ModelReference, settings: Settings) -> Path:
    run = settings.runs / parsed.name
    if not (run / "recipe.yaml").is_file():
        raise StudioError("model.no_such_run", run=parsed.name)
    return run


def _locate_run(parsed: ModelReference, settings: Settings) -> ModelFiles:
    run = _run_folder(parsed, settings)
    adapter = _adapter(run, parsed)
    base = load_recipe(run / "recipe.yaml").base
    if parse_reference(base).scheme == "run":
        raise StudioError("model.base_is_run", reference=str(parsed), base=base)
    found = locate(base, settings)
    vocabulary = run / "vocabulary"
    tokenizer = vocabulary if (vocabulary / TOKENIZER).is_file() else found.tokenizer_folder
    rows = adapter / ROWS if (adapter / ROWS).is_file() else None
    return ModelFiles(str(parsed), found.base, found.folder, tokenizer, adapter, rows, found.trusted)


def _adapter(run: Path, parsed: ModelReference) -> Path:
    stages = _numbered(run / "stages", _STAGE, "place")
    if parsed.stage is not None:
        stages = [stage for stage in stages if stage.name.partition("-")[2] == parsed.stage]
        if not stages:
            raise StudioError("model.no_such_stage", run=parsed.name, stage=parsed.stage)
    finished = [stage for stage in stages if _holds_adapter(stage)]
    if finished and parsed.revision is None:
        return finished[0]
    for stage in stages:
        for checkpoint in _numbered(stage / "checkpoints", _CHECKPOINT, "step"):
            step = int(checkpoint.name.partition("-")[2])
            if _holds_adapter(checkpoint) and (parsed.revision is None or step == int(parsed.revision)):
                return checkpoint
    raise StudioError("model.no_checkpoint", reference=str(parsed))


def _numbered(folder: Path, pattern: re.Pattern[str], group: str) -> list[Path]:
    """Subfolders whose names fit `pattern`, the highest number first."""
    found = [(pattern.fullmatch(path.name), path) for path in folder.glob("*") if path.is_dir()]
    return [path for _, path in sorted(((int(m[group]), path) for m, path in found if m), reverse=True)]


def _holds_adapter(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _ADAPTER)


def _added_tokens(folder: Path) -> Mapping[str, int]:
    path = folder / TOKENIZER
    if not path.is_file():
        return {}
    return {token["content"]: token["id"] for token in _read_json(path).get("added_tokens", [])}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise StudioError("model.broken_file", folder=str(path.parent), file=path.name) from error
    if not isinstance(found, dict):
        raise StudioError("model.broken_file", folder=str(path.parent), file=path.name)
    return found
