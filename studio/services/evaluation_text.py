"""Figures of evaluations in words, for pages and for Markdown."""

from __future__ import annotations

from studio.evaluation.results import Figure
from studio.evaluation.suites import CORPUS_METRICS
from studio.i18n import number, say
from studio.services.evaluations import Difference


def share_text(locale: str, metric: str, value: float) -> str:
    """Shares as per cent, BLEU and chrF as they are."""
    if metric in CORPUS_METRICS:
        return number(locale, value, 1)
    return say(locale, "report.percent", percent=number(locale, 100 * value, 1))


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
