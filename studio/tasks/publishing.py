"""Jobs that take a trained run out of the studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.tasks.texts import QUICK_TEXTS

if TYPE_CHECKING:
    from studio.worker import Work


def merge_model(work: Work) -> dict[str, Any]:
    """Merge a run into a folder and prove it: arguments `run` (a ``run:`` reference), `out` and `name`."""
    from studio.data.starters import held_out_lines
    from studio.models.files import locate
    from studio.publish.pipeline import merge_run

    files = locate(work.job.arguments["run"], work.settings)
    if files.adapter is None:
        raise StudioError("publish.nothing_to_merge", model=files.reference)
    return merge_run(
        files,
        Path(work.job.arguments["out"]),
        held_out_lines()[:QUICK_TEXTS],
        settings=work.settings,
        progress=work.progress,
        stopping=work.stopping,
    )


def pack_adapter(work: Work) -> dict[str, Any]:
    """Write a run as an adapter for plain peft and prove it: arguments `run` (a ``run:`` reference) and `out`."""
    from studio.models.files import locate
    from studio.publish.peft_adapter import export_adapter

    return export_adapter(
        locate(work.job.arguments["run"], work.settings),
        Path(work.job.arguments["out"]),
        settings=work.settings,
        progress=work.progress,
        stopping=work.stopping,
    )


def export_gguf(work: Work) -> dict[str, Any]:
    """Write a run as a GGUF file: arguments `run` (a ``run:`` reference), `kind`, and `out`, a file or None."""
    from studio.data.starters import held_out_lines
    from studio.publish.gguf_export import export_gguf

    given = work.job.arguments
    return export_gguf(
        given["run"],
        given["kind"],
        work.settings,
        held_out_lines()[:QUICK_TEXTS],
        out=None if given["out"] is None else Path(given["out"]),
        progress=work.progress,
        stopping=work.stopping,
    )
