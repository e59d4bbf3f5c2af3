"""A run as an adapter in PEFT's own format, which plain `peft` and `transformers` load without this studio.

LoRA matrices go over as they were trained. Rows of new tokens become PEFT's trainable tokens: the file holds the whole
row of each id under ``TABLE.token_adapter.trainable_tokens_delta`` (PEFT replaces rows by them and adds nothing), once
for tied tables and once for each of untied ones, and ``trainable_token_indices`` in the config names the ids.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import ModelFiles
from studio.models.new_rows import NewRows, read_rows
from studio.models.source import read_source
from studio.models.tokenizer import load_tokenizer
from studio.publish.adapter import CONFIG, WEIGHTS
from studio.publish.adapter_check import Matched, Seen, check_adapter, look
from studio.publish.cards import gathered as known
from studio.publish.cards.adapter_card import adapter_facts
from studio.publish.cards.edits import put_card
from studio.publish.companions import write_json, write_texts
from studio.publish.merge import check_space, incoming
from studio.publish.record import write_record
from studio.publish.shards import read_shard
from studio.settings import Settings

_KEY = "base_model.model.{table}.token_adapter.trainable_tokens_delta"


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The rows that an adapter carries.

    `rows` are those to write, `gap` the ids below the longest that belong to no token and are not among them, and
    `longer` the rows that the base's tables must be made longer to; 0 where they are padded far enough.
    """

    rows: NewRows
    gap: torch.Tensor
    longer: int


def export_adapter(
    files: ModelFiles, out: Path, *, settings: Settings, progress: Progress, stopping: Stopping
) -> dict[str, Any]:
    """Write a run as an adapter to `out`, which appears once plain transformers and peft gave the studio's own logits.

    Args:
        files: The run's model: base, tokenizer, adapter and, with a vocabulary of its own, rows.
        out: New folder.
        settings: Where runs lie, for the card.
        progress: Told the share of the whole job.
        stopping: Asked between its parts.

    Returns:
        ``out, files, bytes, card, checks``.

    Raises:
        StudioError: ``publish.nothing_to_pack``, ``publish.no_adapter``, ``publish.adapter_broken``,
            ``publish.adapter_head_bias``, ``publish.adapter_reload_failed``, ``publish.out_exists``,
            ``disk.too_small``, ``rows.*``, ``model.*`` or ``job.stopped``.
    """
    if files.adapter is None:
        raise StudioError("publish.nothing_to_pack", model=files.reference)
    _check_whole(files.adapter)
    with incoming(out) as folder, TemporaryDirectory(prefix=".incoming-", dir=out.absolute().parent) as aside:
        tokens = _tokens(files)
        check_space(folder, _size(files))
        none = torch.empty(0, dtype=torch.int64)
        progress(0.05, "progress.adapter.look")
        ids, gap, longer = (none, none, 0) if tokens is None else (tokens.rows.ids, tokens.gap, tokens.longer)
        expected = Path(aside) / "expected.safetensors"
        seen = look(files, expected, ids=ids, gap=gap, longer=longer)
        if stopping():
            raise StudioError("job.stopped")
        progress(0.45, "progress.adapter.write")
        _write(files, tokens, seen, folder)
        progress(0.5, "progress.adapter.reload")
        matched = check_adapter(files.folder, folder, expected, stopping=stopping)
        progress(0.95, "progress.merge.card")
        checks = _checks(tokens, seen, matched)
        facts = known.gather(
            files, folder, out.name, settings, kind="adapter", dtype="float32", template=matched.template
        )
        facts = adapter_facts(facts, checks, longer or None, _revision(files))
        card = put_card(folder, facts, known.run_folder(files.adapter, settings))
        write_record(folder, "adapter", files.reference, files.base, checks)
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    return {
        "out": str(out),
        "files": names,
        "bytes": sum((out / name).stat().st_size for name in names),
        "card": card.state,
        "checks": checks,
    }


def _check_whole(adapter: Path) -> None:
    if not (adapter / WEIGHTS).is_file() or not (adapter / CONFIG).is_file():
        raise StudioError("publish.no_adapter", folder=adapter.name)
    try:
        key = WEIGHTS
        read_shard(adapter / WEIGHTS)
        key = CONFIG
        json.loads((adapter / CONFIG).read_text(encoding="utf8"))
    except (StudioError, ValueError) as error:
        raise StudioError("publish.adapter_broken", key=key) from error


def _size(files: ModelFiles) -> int:
    assert files.adapter is not None, files
    found = [files.adapter / WEIGHTS, *([files.rows] if files.rows else [])]
    return sum(path.stat().st_size for path in found)


def _tokens(files: ModelFiles) -> _Tokens | None:
    """The rows to publish: of a run that trained all of them, those beyond table and tokenizer are left out."""
    if files.rows is None:
        return None
    rows, _ = read_rows(files.rows)
    old = _table(files.folder)
    known_ids = load_tokenizer(files.tokenizer_folder).get_vocab().values()
    # Only as long as there are tokens, not a multiple of 64: a row that nothing fills would be drawn at random by
    # whoever makes the tables longer, and AutoPeftModel makes them exactly this long by itself.
    length = max(old, min(int(rows.ids.max()), max(known_ids)) + 1)
    kept = rows.ids < length
    rows = NewRows(rows.ids[kept], rows.input[kept], None if rows.output is None else rows.output[kept])
    gap = sorted(set(range(old, length)) - set(rows.ids.tolist()))
    return _Tokens(rows, torch.tensor(gap, dtype=torch.int64), length if length > old else 0)


def _table(folder: Path) -> int:
    from transformers import AutoConfig

    found: int = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config().vocab_size
    return found


def _write(files: ModelFiles, tokens: _Tokens | None, seen: Seen, folder: Path) -> None:
    assert files.adapter is not None, files
    config = json.loads((files.adapter / CONFIG).read_text(encoding="utf8"))
    if tokens is None:
        shutil.copyfile(files.adapter / WEIGHTS, folder / WEIGHTS)
    else:
        rows = tokens.rows
        ids, order = torch.cat([rows.ids, tokens.gap]).sort()
        tables = {seen.embedding: torch.cat([rows.input, seen.gap])[order]}
        if rows.output is not None and seen.gap_head is not None:
            tables[seen.head] = torch.cat([rows.output, seen.gap_head])[order]
        config["trainable_token_indices"] = dict.fromkeys(tables, ids.tolist())
        tensors = load_file(files.adapter / WEIGHTS) | {_KEY.format(table=name): each for name, each in tables.items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set when it was saved: the same run gives the same file
    base = known.base_facts(files.base, files.folder)
    # A path would say nothing to others and something about its owner.
    config |= {"base_model_name_or_path": base.repository, "revision": _revision(files), "inference_mode": True}
    write_json(folder / CONFIG, config)
    write_texts(files.folder, files.tokenizer_folder, folder)


def _revision(files: ModelFiles) -> str | None:
    """The commit of the Hub's repository that the base's files are of; None for a base made by other means."""
    source = read_source(files.folder)
    if source is None or not source.reference.startswith("hub:"):
        return None
    return next((origin.version for origin in source.origins if origin.name == source.original), None)


def _checks(tokens: _Tokens | None, seen: Seen, matched: Matched) -> dict[str, Any]:
    return {
        "new_tokens": 0 if tokens is None else len(tokens.rows.ids),
        "resized_to": None if tokens is None or not tokens.longer else tokens.longer,
        "texts": seen.texts,
        "tokens": seen.tokens,
        "dtype": seen.dtype,
        "logits_difference": matched.difference,
        "merged_difference": matched.merged,
        "peft_merges": matched.merges,
        "transformers": matched.transformers,
        "peft": matched.peft,
    }
