"""Jobs that bring a model in, train it, and measure it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.worker import Work


def fetch_model(work: Work) -> dict[str, Any]:
    """Bring a model into the workspace: arguments `model`."""
    from studio.models.fetch import fetch

    fetched = fetch(
        work.job.arguments["model"], work.settings, progress=work.progress, stopping=work.stopping, token=work.token
    )
    return {
        "path": str(fetched.path),
        "bytes": fetched.bytes,
        "source": fetched.source,
        "seconds": round(fetched.seconds, 1),
    }


def train(work: Work) -> dict[str, Any]:
    """Train a run from its frozen recipe, as `studio.training.attempt`."""
    from studio.training import attempt

    return attempt.train(work)


def measure_bits(work: Work) -> dict[str, Any]:
    """Bits per byte of a model on Persian and English texts of the studio: argument `model`."""
    from studio.data.starters import held_out_lines
    from studio.evaluation.bits import measure_model

    reference = work.job.arguments["model"]
    figures: dict[str, Any] = {"model": reference}
    for start, language in ((0.0, "fa"), (0.5, "en")):

        def progress(fraction: float, note: str, start: float = start) -> None:
            work.progress(start + fraction / 2, note)

        bits = measure_model(
            reference,
            held_out_lines(language),
            work.settings,
            progress=progress,
            stopping=work.stopping,
        )
        figures[language] = asdict(bits)
    return figures


def evaluate_model(work: Work) -> dict[str, Any]:
    """Put the questions of a suite to a model, as `studio.services.evaluations` asks: arguments `id` and `order`."""
    from studio.evaluation.evaluate import carry_out
    from studio.evaluation.results import read_order

    given, settings = work.job.arguments, work.settings
    order, folder = read_order(given["order"]), settings.evaluations / given["id"]
    done = carry_out(order, folder, settings, progress=work.progress, stopping=work.stopping)
    return {"id": done.id, "suite": order.suite, "tasks": len(done.tasks)}
