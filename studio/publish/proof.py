"""All that is proved of a merged folder: its tensors, logits, that it opens, bits per byte and likeliest answers."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.publish.logits import LARGEST, LIMIT, check_logits
from studio.publish.shards import read_shard
from studio.publish.verify import check_bits, check_reload, check_tensors, expectations
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.models.files import ModelFiles

BITS_LIMIT = 0.005  # share; rounding a correct merge to bf16 moves bits per byte by a tenth of that
ANSWERED_TEXTS, ANSWERED_TOKENS = 4, 256  # on which both models' likeliest next tokens are compared, most of each
LOGIT_TEXTS, LOGIT_TOKENS = 3, 32
_SHARES = {"tensors": 0.15, "logits": 0.25, "reload": 0.4, "before": 0.7, "after": 1.0}  # of the proof, at their end


@dataclass(frozen=True, slots=True)
class Measured:
    """Bits per byte of a model on `bytes` of text, and its `likeliest` next token at each place of some of it."""

    bits_per_byte: float
    bytes: int
    likeliest: tuple[int, ...] = ()


class Measure(Protocol):
    """Measures the model that `files` name as the chat would load it, its adapter `towards_base` of the way back."""

    def __call__(
        self,
        files: ModelFiles,
        texts: Sequence[str],
        *,
        towards_base: float = 0.0,
        progress: Progress,
        stopping: Stopping,
    ) -> Measured: ...


def prove(
    files: ModelFiles,
    folder: Path,
    texts: Sequence[str],
    *,
    dtype: str,
    towards_base: float,
    measure: Measure | None = None,
    progress: Progress,
    stopping: Stopping,
) -> dict[str, Any]:
    """Check that `folder` is the merge of a run, by code that shares nothing with the code that wrote it.

    A run trained in four bits is held against its adapter on the base as it was, unquantised: that is what chat and
    evaluation load, and what was merged.

    Args:
        files: The run: base, tokenizer, adapter, rows.
        folder: The merged model.
        texts: Held-out Persian lines, each a document.
        dtype: That the merge should have.
        towards_base: That it was made with.
        measure: Measures bits per byte and answers; by default with the model on the best device there is.
        progress: Told the share of the proof.
        stopping: Asked throughout.

    Returns:
        ``tensors``, ``logits``, ``reload``, ``bits_per_byte`` and ``top1``, each with its figures. ``top1`` is the
        share of places where both models think the same token the likeliest; it is told, not judged.

    Raises:
        StudioError: ``publish.verify_failed``, ``publish.logits_differ``, ``publish.reload_failed``,
            ``publish.bits_differ``; ``job.stopped``.
    """
    assert files.adapter is not None, files
    measure = measure or measure_files
    tensors = check_tensors(
        files.folder, files.adapter, folder, rows=files.rows, dtype=dtype, towards_base=towards_base,
        progress=_part(progress, "tensors"), stopping=stopping,
    )  # fmt: skip
    progress(_SHARES["tensors"], "progress.merge.logits")
    logits = _logits(files, texts, towards_base)
    progress(_SHARES["logits"], "progress.merge.reload")
    reloaded = check_reload(folder, expectations(files.folder, files.tokenizer_folder, files.rows))
    before = measure(files, texts, towards_base=towards_base, progress=_part(progress, "before"), stopping=stopping)
    result = replace(files, folder=folder, tokenizer_folder=folder, adapter=None, rows=None)
    after = measure(result, texts, progress=_part(progress, "after"), stopping=stopping)
    check_bits(before.bits_per_byte, after.bits_per_byte, BITS_LIMIT)
    return {
        "dtype": dtype,
        "towards_base": towards_base,
        "tensors": asdict(tensors),
        "logits": logits,
        "reload": asdict(reloaded),
        "bits_per_byte": {
            "before": before.bits_per_byte,
            "after": after.bits_per_byte,
            "bytes": before.bytes,
            "limit": BITS_LIMIT,
        },
        "top1": _agreement(before.likeliest, after.likeliest),
    }


def check_origin(files: ModelFiles, settings: Settings) -> dict[str, Any]:
    """Make sure that the base's weights are those that the run was trained on; all of them are read.

    Returns:
        ``{"sha256"}``, or ``{"skipped"}`` for an adapter that no run of this studio keeps a hash for.

    Raises:
        StudioError: ``publish.base_changed``.
    """
    from studio.publish.cards.gathered import run_folder
    from studio.training.environment import base_hash

    run = None if files.adapter is None else run_folder(files.adapter, settings)
    path = None if run is None else run / "environment.json"
    if path is None or not path.is_file():
        return {"skipped": "unknown"}
    trained = json.loads(path.read_text(encoding="utf8")).get("base_sha256")
    found = base_hash(files.folder)
    if found != trained:
        raise StudioError("publish.base_changed", base=files.base)
    return {"sha256": found}


def _part(progress: Progress, part: str) -> Progress:
    ends = list(_SHARES)
    place = ends.index(part)
    start = _SHARES[ends[place - 1]] if place else 0.0
    return lambda share, note: progress(start + share * (_SHARES[part] - start), note)


def _logits(files: ModelFiles, texts: Sequence[str], towards_base: float) -> dict[str, Any]:
    """The figures of the comparison in fp32, or why there is none."""
    from psutil import virtual_memory

    from studio.models.weights import weight_files

    entries = (entry for path in weight_files(files.folder) for entry in read_shard(path).entries.values())
    parameters = sum(entry.count for entry in entries)
    if parameters > LARGEST:
        return {"skipped": "larger", "parameters": parameters, "largest": LARGEST}
    if 10 * parameters > virtual_memory().available:  # eight bytes for each, and what the answers need
        return {"skipped": "memory", "parameters": parameters}
    import torch

    from studio.models.load import load_adapted
    from studio.publish.strength import Strength

    assert files.adapter is not None, files
    model, _ = load_adapted(files, device="cpu", dtype=torch.float32)
    Strength(model).set(towards_base)
    ids = _ids(files, texts[:LOGIT_TEXTS], LOGIT_TOKENS)
    found = check_logits(model, ids, files.folder, files.adapter, towards_base=towards_base)
    return {**asdict(found), "limit": LIMIT, "parameters": parameters}


def _ids(files: ModelFiles, texts: Sequence[str], most: int) -> list[list[int]]:
    """The beginnings of texts as token ids, each after the start of a document, where the base knows one."""
    from studio.models.files import document_start
    from studio.models.tokenizer import load_tokenizer

    tokenizer, start = load_tokenizer(files.tokenizer_folder), document_start(files.folder)
    first = [] if start is None else [start]
    return [[*first, *tokenizer.encode(text, add_special_tokens=False).ids[:most]] for text in texts]


def measure_files(
    files: ModelFiles,
    texts: Sequence[str],
    *,
    towards_base: float = 0.0,
    progress: Progress,
    stopping: Stopping,
) -> Measured:
    """Measure a model on disk in the chat's own precision."""
    from studio.evaluation.bits import bits_per_byte
    from studio.models.files import document_start
    from studio.models.load import load_adapted, load_base
    from studio.publish.strength import Strength

    gc.collect()  # the model measured before may still hang in a ring of references
    progress(0.0, "progress.bits.load")
    load = load_base if files.adapter is None else load_adapted
    # Both as they will be used, in the chat's own precision: a bf16 forward already rounds away part of a light
    # training's small updates, as the bf16 merge does. In fp32 the same correct merge stood 0.83% off, here 0.34%.
    model, _ = load(files)
    Strength(model).set(towards_base)
    bits = bits_per_byte(
        model, encoder(files), texts, document_start(files.folder), progress=progress, stopping=stopping
    )
    answered = _ids(files, texts[:ANSWERED_TEXTS], ANSWERED_TOKENS)
    return Measured(bits.bits_per_byte, bits.bytes, tuple(_likeliest(model, answered)))


def encoder(files: ModelFiles) -> Callable[[str], list[int]]:
    """Text to ids under a model's tokenizer, without special tokens."""
    from studio.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(files.tokenizer_folder)
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def _likeliest(model: Any, texts: Sequence[Sequence[int]]) -> list[int]:
    import torch

    found: list[int] = []
    with torch.inference_mode():
        for text in texts:
            logits = model(input_ids=torch.tensor([list(text)], device=model.device), use_cache=False).logits
            found += logits[0].argmax(dim=-1).tolist()
    return found


def _agreement(before: Sequence[int], after: Sequence[int]) -> dict[str, Any]:
    if not before or len(before) != len(after):
        return {"skipped": "unknown"}
    same = sum(one == other for one, other in zip(before, after, strict=True))
    return {"agreement": same / len(before), "tokens": len(before)}
