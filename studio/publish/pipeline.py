"""The merge job: merge, prove that nothing was lost, describe, and only then let the folder appear."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.publish import facts as known
from studio.publish.card import Figures
from studio.publish.card_edits import Put, put_card
from studio.publish.merge import incoming, write_merged
from studio.publish.record import RECORD, write_record
from studio.publish.verify import check_bits, check_reload, check_tensors
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.models.files import ModelFiles

BITS_LIMIT = 0.005  # share; rounding a correct merge to bf16 moves bits per byte by a tenth of that
_SHARES = {"merge": 0.25, "tensors": 0.35, "reload": 0.5, "before": 0.72, "after": 0.95}  # of the job, when each ends


class Measured(Protocol):
    """Bits per byte of a model, and on how many bytes."""

    @property
    def bits_per_byte(self) -> float: ...
    @property
    def bytes(self) -> int: ...


class Measure(Protocol):
    """Measures the model that `files` name, as the chat would load it."""

    def __call__(
        self, files: ModelFiles, texts: Sequence[str], *, progress: Progress, stopping: Stopping
    ) -> Measured: ...


def merge_run(
    files: ModelFiles,
    out: Path,
    texts: Sequence[str],
    *,
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
        settings: Where runs and datasets lie, for the card.
        progress: Told the share of the whole job.
        stopping: Asked throughout.
        measure: Measures bits per byte; by default with the model on the best device there is.

    Returns:
        ``out, files, bytes, tensors_checked, bits_per_byte_before, bits_per_byte_after, seconds``.

    Raises:
        StudioError: As :func:`studio.publish.merge.merge`; ``publish.verify_failed``, ``publish.reload_failed`` or
            ``publish.bits_differ``; ``job.stopped``.
    """
    if files.adapter is None:
        raise StudioError("publish.nothing_to_merge", model=files.reference)
    started = time.monotonic()
    with incoming(out) as folder, _grown(files, out, stopping) as base:
        part = _part(progress, "merge")
        merged = write_merged(
            base, files.adapter, folder, tokenizer=files.tokenizer_folder, progress=part, stopping=stopping
        )
        template, figures = _prove(files, base, folder, texts, measure or _measure, progress, stopping)
        progress(_SHARES["after"], "progress.merge.card")
        card = _card(files, files.adapter, out.name, template, figures, folder, settings)
        write_record(folder, "merged", files.reference, files.base, asdict(figures))
        size = merged.bytes + sum((folder / name).stat().st_size for name in (*card.files, RECORD))
    return {
        "out": str(out),
        "files": sorted([*merged.files, *card.files, RECORD]),
        "bytes": size,
        "card": card.state,
        "tensors_checked": figures.tensors,
        "bits_per_byte_before": figures.before,
        "bits_per_byte_after": figures.after,
        "seconds": round(time.monotonic() - started, 1),
    }


@contextmanager
def _grown(files: ModelFiles, out: Path, stopping: Stopping) -> Iterator[Path]:
    """The folder of the base, for a run with a vocabulary one with the learned rows in its tables, gone afterwards."""
    if files.rows is None:
        yield files.folder
        return
    from studio.models.new_rows import read_rows
    from studio.publish.expanded import write_expanded

    rows, _ = read_rows(files.rows)
    with TemporaryDirectory(prefix=".incoming-", dir=out.parent) as name:
        write_expanded(
            files.folder, files.tokenizer_folder, rows, Path(name), progress=lambda share: None, stopping=stopping
        )
        yield Path(name)


def _prove(
    files: ModelFiles,
    base: Path,
    folder: Path,
    texts: Sequence[str],
    measure: Measure,
    progress: Progress,
    stopping: Stopping,
) -> tuple[bool, Figures]:
    """Whether the model has a chat template, and what the checks found; raises if one of them fails."""
    part = _part(progress, "tensors")
    assert files.adapter is not None, files
    checked = check_tensors(base, files.adapter, folder, progress=part, stopping=stopping)
    progress(_SHARES["tensors"], "progress.merge.reload")
    reloaded = check_reload(folder)
    before = measure(files, texts, progress=_part(progress, "before"), stopping=stopping)
    result = replace(files, folder=folder, tokenizer_folder=folder, adapter=None, rows=None)
    after = measure(result, texts, progress=_part(progress, "after"), stopping=stopping)
    check_bits(before.bits_per_byte, after.bits_per_byte, BITS_LIMIT)
    return reloaded.template, Figures(
        before.bits_per_byte, after.bits_per_byte, before.bytes, checked.tensors, checked.adapted, BITS_LIMIT
    )


def _part(progress: Progress, part: str) -> Progress:
    ends = list(_SHARES)
    place = ends.index(part)
    start = _SHARES[ends[place - 1]] if place else 0.0
    return lambda share, note: progress(start + share * (_SHARES[part] - start), note)


def _measure(files: ModelFiles, texts: Sequence[str], *, progress: Progress, stopping: Stopping) -> Measured:
    from studio.evaluation.bits import bits_per_byte
    from studio.models.files import document_start
    from studio.models.load import load_adapted, load_base
    from studio.models.tokenizer import load_tokenizer

    gc.collect()  # the model measured before may still hang in a ring of references
    progress(0.0, "progress.bits.load")
    load = load_base if files.adapter is None else load_adapted
    # Both as they will be used, in the chat's own precision: a bf16 forward already rounds away part of a light
    # training's small updates, as the bf16 merge does. In fp32 the same correct merge stood 0.83% off, here 0.34%.
    model, _ = load(files)
    tokenizer = load_tokenizer(files.tokenizer_folder)
    return bits_per_byte(
        model,
        lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        texts,
        document_start(files.folder),
        progress=progress,
        stopping=stopping,
    )


def _card(
    files: ModelFiles, adapter: Path, name: str, template: bool, figures: Figures, folder: Path, settings: Settings
) -> Put:
    facts = known.gather(
        files, folder, name, settings, kind="merged", dtype="bfloat16", template=template, figures=figures
    )
    return put_card(folder, facts, known.run_folder(adapter, settings))
