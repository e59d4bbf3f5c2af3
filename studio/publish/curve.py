"""What a merge taken back towards the base keeps of both languages, measured without writing one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping

if TYPE_CHECKING:
    from studio.models.files import ModelFiles

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def measure_curve(
    files: ModelFiles, texts: Mapping[str, Sequence[str]], *, progress: Progress, stopping: Stopping
) -> list[dict[str, float]]:
    """Bits per byte by language at each of `STEPS` towards the base; the model is loaded once.

    At 1 only the new rows of the run are left on the base.

    Args:
        files: A run.
        texts: Held-out lines by language, ``fa`` and ``en``.
        progress: Told the share of the measurements.
        stopping: Asked between batches.

    Raises:
        StudioError: ``publish.nothing_to_merge``, ``model.*``, ``bits.*`` or ``job.stopped``.
    """
    if files.adapter is None:
        raise StudioError("publish.nothing_to_merge", model=files.reference)
    from studio.evaluation.bits import bits_per_byte, exact_dtype
    from studio.models.files import document_start
    from studio.models.load import load_adapted
    from studio.publish.proof import encoder
    from studio.publish.strength import Strength

    progress(0.0, "progress.bits.load")
    model, _ = load_adapted(files, dtype=exact_dtype(files.folder))
    strength, encode, start = Strength(model), encoder(files), document_start(files.folder)
    points: list[dict[str, float]] = []
    count = len(STEPS) * len(texts)
    for towards_base in STEPS:
        strength.set(towards_base)
        point = {"towards_base": towards_base}
        for place, (language, lines) in enumerate(texts.items(), start=len(points) * len(texts)):

            def told(share: float, note: str, place: int = place) -> None:
                progress((place + share) / count, note)

            found: Any = bits_per_byte(model, encode, lines, start, progress=told, stopping=stopping)
            point[language] = found.bits_per_byte
        points.append(point)
    return points
