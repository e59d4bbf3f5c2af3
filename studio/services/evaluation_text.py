"""Figures of evaluations in words, for pages and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from studio.evaluation.results import Figure, TaskResult
from studio.evaluation.suites import CORPUS_METRICS, SPEARMAN
from studio.i18n import number, say
from studio.services.comparisons import Difference


def share_text(locale: str, metric: str, value: float) -> str:
    """Shares as per cent, BLEU and chrF as they are, correlations from −1 to 1."""
    if metric == SPEARMAN:
        sign = "−" if value < 0 else ""
        return f"{sign}{number(locale, abs(value), 2)}"
    if metric in CORPUS_METRICS:
        return number(locale, value, 1)
    return say(locale, "report.percent", percent=number(locale, 100 * value, 1))


def also_text(locale: str, result: TaskResult, differences: Mapping[str, Difference]) -> list[str]:
    """Further figures of a task with their intervals, one a line, and how they differ from the first model's."""
    return [
        "; ".join([_also(locale, metric, figure), *_differs(locale, metric, differences)])
        for metric, figure in result.also.items()
    ]


def _also(locale: str, metric: str, figure: Figure) -> str:
    return say(locale, "evaluate.also", metric=say(locale, f"evaluate.metric.{metric}"),
               value=share_text(locale, metric, figure.value), interval=interval_text(locale, metric, figure),
               items=figure.items)  # fmt: skip


def _differs(locale: str, metric: str, differences: Mapping[str, Difference]) -> list[str]:
    return [difference_text(locale, metric, differences[metric])] if metric in differences else []


def interval_text(locale: str, metric: str, figure: Figure) -> str:
    """From where to where a figure may lie."""
    low, high = share_text(locale, metric, figure.low), share_text(locale, metric, figure.high)
    return say(locale, "evaluate.interval", low=low, high=high)


def difference_text(locale: str, metric: str, found: Difference) -> str:
    """How a model differs from the first, or that no difference was shown."""
    if not found.shown:
        return say(locale, "evaluate.no_difference")
    key = "evaluate.better" if found.difference > 0 else "evaluate.worse"
    low, high = sorted((abs(found.low), abs(found.high)))
    told = {"difference": abs(found.difference), "low": low, "high": high}
    return say(locale, key, **{name: share_text(locale, metric, value) for name, value in told.items()})
