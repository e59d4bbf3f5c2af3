"""The history as a table for a spreadsheet: a line per stage of every run."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from studio import workspace
from studio.auth import owner_only
from studio.services import history
from studio.services.history import PastRun, PastStage, change, moment
from studio.services.studio import Studio

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula: owasp.org/www-community/attacks/CSV_Injection"""

COLUMNS = (
    "run", "title", "note", "state", "created", "finished", "recipe", "base", "vocabulary", "stage", "kind", "data",
    "steps", "tokens", "loss", "bits_fa_before", "bits_fa", "bits_en_before", "bits_en", "english_change",
)  # fmt: skip


@owner_only
def as_csv(studio: Studio) -> str:
    """All runs as a table: a line per stage, the newest run first, times in UTC, numbers with a point.

    No cell is a formula to a spreadsheet: text that begins like one gets an apostrophe before it.
    """
    told = io.StringIO()
    table = csv.DictWriter(told, COLUMNS, restval="")
    table.writeheader()
    for run in history.everything(studio):
        for stage in run.stages or (None,):
            table.writerow({name: cell(value) for name, value in _line(run, stage).items()})
    return told.getvalue()


def as_bytes(table: str) -> bytes:
    """A table as a file; the mark at its start tells spreadsheets that it is UTF-8, or Persian turns to noise."""
    return table.encode("utf-8-sig")


@owner_only
def write_csv(studio: Studio, out: Path) -> int:
    """Write the table to a new file and return its bytes.

    Raises:
        StudioError: ``file.exists``, ``workspace.not_writable`` or ``disk.full``.
    """
    return workspace.write_new(out, as_bytes(as_csv(studio)))


def _line(run: PastRun, stage: PastStage | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "run": run.id, "title": run.title, "note": run.note, "state": run.state, "created": moment(run.created),
        "finished": moment(run.finished), "vocabulary": run.vocabulary,
        "recipe": run.recipe and run.recipe.name, "base": run.recipe and run.recipe.base,
    }  # fmt: skip
    line |= {f"bits_{language}_before": bits for language, bits in run.before.items()}
    if stage is not None:
        line |= {"stage": stage.name, "kind": stage.kind, "data": " ".join(stage.data), "steps": stage.steps}
        line |= {"tokens": stage.tokens, "loss": stage.loss, "english_change": change(run.before, stage.bits)}
        line |= {f"bits_{language}": bits for language, bits in stage.bits.items()}
    return line


def cell(value: Any) -> Any:
    """`value` as a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
