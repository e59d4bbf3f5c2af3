"""The merge job: merge, prove that nothing was lost, describe, and only then let the folder appear."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.models.files import read_config
from studio.publish.cards import gathered as known
from studio.publish.cards.card import Figures
from studio.publish.cards.edits import Put, put_card
from studio.publish.companions import Dtype
from studio.publish.merge import incoming, write_merged
from studio.publish.proof import Measure, check_origin, prove
from studio.publish.record import RECORD, check_merged, check_record, write_record
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.models.files import ModelFiles

_SHARES = {"base": 0.05, "merge": 0.3, "proof": 0.97}  # of the job, when each ends
# What a check of a finished folder failed with, and the check's name.
_FAILURES = {
    "publish.verify_failed": "tensors",
    "publish.logits_differ": "logits",
    "publish.reload_failed": "reload",
    "publish.bits_differ": "bits_per_byte",
    "publish.changed_since": "files",
}


def merge_run(
    files: ModelFiles,
    out: Path,
    texts: Sequence[str],
    *,
    dtype: Dtype = "bfloat16",
    towards_base: float = 0.0,
    settings: Settings,
    progress: Progress,
    stopping: Stopping,
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Merge a run into `out`, prove it, write its card; `out` appears only if every check held.

    After a failed check nothing is left on disk: a folder that looks like a model and is not the one that was
    trained is worth nothing, and merging again takes minutes. Until then it is ``.incoming-NAME`` beside `out`.

    Args:
        files: The run's model: base, tokenizer and adapter.
        out: New folder.
        texts: Held-out Persian lines, each a document, for the bits per byte before and after.
        dtype: Of the new weights.
        towards_base: How far back to the base, as :func:`studio.publish.merge.merge`.
        settings: Where runs and datasets lie, for the card.
        progress: Told the share of the whole job.
        stopping: Asked throughout.
        measure: As :func:`studio.publish.proof.prove`.

    Returns:
        ``out, files, bytes, card, dtype, towards_base, tensors_checked, bits_per_byte_before, bits_per_byte_after,
        checks, seconds``.

    Raises:
        StudioError: As :func:`studio.publish.merge.merge` and :func:`studio.publish.proof.prove`;
            ``publish.base_changed``; ``job.stopped``.
    """
    if files.adapter is None:
        raise StudioError("publish.nothing_to_merge", model=files.reference)
    started = time.monotonic()
    progress(0.0, "progress.merge.base")
    origin = check_origin(files, settings)
    with incoming(out) as folder:
        merged = write_merged(
            files.folder, files.adapter, folder, rows=files.rows, dtype=dtype, towards_base=towards_base,
            tokenizer=files.tokenizer_folder, progress=_part(progress, "merge"), stopping=stopping,
        )  # fmt: skip
        checks = {"base": origin} | prove(
            files, folder, texts, dtype=dtype, towards_base=towards_base, measure=measure,
            progress=_part(progress, "proof"), stopping=stopping,
        )  # fmt: skip
        progress(_SHARES["proof"], "progress.merge.card")
        card = _card(files, files.adapter, out.name, checks, folder, settings)
        write_record(folder, "merged", files.reference, files.base, checks)
    return {
        "out": str(out),
        "files": sorted([*merged.files, *card.files, RECORD]),
        "bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        "card": card.state,
        "dtype": dtype,
        "towards_base": towards_base,
        "tensors_checked": checks["tensors"]["tensors"],
        "bits_per_byte_before": checks["bits_per_byte"]["before"],
        "bits_per_byte_after": checks["bits_per_byte"]["after"],
        "checks": checks,
        "seconds": round(time.monotonic() - started, 1),
    }


def verify_folder(
    files: ModelFiles,
    folder: Path,
    texts: Sequence[str],
    *,
    settings: Settings,
    progress: Progress,
    stopping: Stopping,
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Check a folder that lies on disk again, with all that a merge is checked with; nothing is changed.

    Its record says what it should be; a folder without one is taken for a whole merge in the dtype of its config.

    Returns:
        ``folder`` and ``checks``.

    Raises:
        StudioError: ``publish.not_verified`` naming the `check` (``tensors``, ``logits``, ``reload``,
            ``bits_per_byte`` or ``files``) and the `reason`; ``publish.base_changed``, ``publish.of_another_run``,
            ``publish.not_merged``, ``publish.nothing_to_merge``, ``model.*``, ``job.stopped``.
    """
    if files.adapter is None:
        raise StudioError("publish.nothing_to_merge", model=files.reference)
    record = check_merged(folder, files.reference)
    made = {} if record is None else record.checks
    dtype = str(made.get("dtype") or read_config(folder).get("dtype") or "bfloat16")
    progress(0.0, "progress.merge.base")
    origin = check_origin(files, settings)
    try:
        checks = {"base": origin} | prove(
            files, folder, texts, dtype=dtype, towards_base=made.get("towards_base", 0.0), measure=measure,
            progress=lambda share, note: progress(_SHARES["base"] + share * 0.9, note), stopping=stopping,
        )  # fmt: skip
        if record is not None:
            check_record(folder)
    except StudioError as error:
        if error.code not in _FAILURES:
            raise
        reason = ", ".join(f"{value}" for key, value in error.details.items() if key != "folder")
        raise StudioError(
            "publish.not_verified", folder=folder.name, check=_FAILURES[error.code], reason=reason
        ) from error
    checks["files"] = {"skipped": "unknown"} if record is None else {"files": len(record.files)}
    return {"folder": str(folder), "checks": checks}


def _part(progress: Progress, part: str) -> Progress:
    ends = list(_SHARES)
    start = _SHARES[ends[ends.index(part) - 1]]
    return lambda share, note: progress(start + share * (_SHARES[part] - start), note)


def _card(
    files: ModelFiles, adapter: Path, name: str, checks: Mapping[str, Any], folder: Path, settings: Settings
) -> Put:
    bits, tensors = checks["bits_per_byte"], checks["tensors"]
    figures = Figures(
        bits["before"], bits["after"], bits["bytes"], tensors["tensors"], tensors["adapted"], bits["limit"]
    )
    facts = known.gather(
        files, folder, name, settings, kind="merged", dtype=checks["dtype"],
        template=checks["reload"]["template"], figures=figures,
    )  # fmt: skip
    return put_card(folder, facts, known.run_folder(adapter, settings))
