"""Live curves of runs and other figures, drawn in the browser by Plotly's script; plotly itself is never imported."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import numpy as np

from studio.i18n import say
from studio.jobs.curves import HELD_OUT, SERIES

Spec = dict[str, Any]
"""What `figure_html` draws: kind, title, axis labels `x` and `y`, series, marks; made by the functions below."""

PANELS = ("loss", "grad_norm", "bits", "learning_rate", "speed")


def live_curves(
    locale: str,
    run: str | Sequence[str] = "",
    *,
    panels: Sequence[str] = PANELS,
    none: str = "curves.none",
    **options: Any,
) -> gr.HTML:
    """Loss, gradient norm, bits per byte, learning rate and speed of a run, side by side and kept fresh.

    The page asks ``/live/curves`` for what is new every two seconds and redraws within the same place: a zoom stays.

    Args:
        locale: Language of the page.
        run: The value, which a handler changes as any other: a run's id, or several to lay over one another, each an
            id or ``{"run": id, "title": what its curves are called}``.
        panels: Which of `PANELS` to draw.
        none: Key of what is said while there is no run.
        **options: Of the component.
    """
    labels = {
        "step": say(locale, "curves.step"),
        "waiting": say(locale, "curves.waiting"),
        "none": say(locale, none),
        "series": {name: say(locale, f"curves.{name}") for name in (*SERIES, *HELD_OUT)},
    }
    return gr.HTML(
        run if isinstance(run, str) else list(run),
        html_template=_curves_html(locale, panels),
        js_on_load="studio.curves(element, props, watch)",
        apply_default_css=False,
        padding=False,
        labels=labels,
        **options,
    )


def figure_html(locale: str, spec: Spec | None = None, **options: Any) -> gr.HTML:
    """One figure; its value is a `Spec` or None, and a new one is drawn in its place."""
    return gr.HTML(
        spec,
        html_template='<figure class="figure-place" hidden><figcaption><span></span></figcaption>'
        '<small class="axis"></small><div class="plot" dir="ltr"></div></figure>',
        js_on_load="studio.figure(element, props, watch)",
        apply_default_css=False,
        padding=False,
        **options,
    )


def histogram(
    values: Sequence[float], *, title: str, x: str, y: str, bins: int = 40, marks: Sequence[tuple[float, str]] = ()
) -> Spec:
    """How often each size occurs; `marks` are vertical lines with a word, such as the length limit."""
    if len(values) == 0:
        counts, edges = np.zeros(0, dtype=int), np.zeros(1)
    else:
        counts, edges = np.histogram(np.asarray(values, dtype=float), bins=bins)
    middles = (edges[:-1] + edges[1:]) / 2
    series = {"x": middles.round(3).tolist(), "y": counts.tolist(), "name": y}
    return _spec("bars", [series], title=title, x=x, y=y, marks=marks)


def bars(values: Mapping[str, float], *, title: str, x: str = "", y: str = "", sideways: bool = False) -> Spec:
    """One bar per name; `sideways` for long names."""
    names, sizes = list(values), list(values.values())
    series = {"x": sizes, "y": names, "name": x} if sideways else {"x": names, "y": sizes, "name": y}
    return {**_spec("bars", [series], title=title, x=x, y=y), "sideways": sideways}


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    x: str,
    y: str,
    marks: Sequence[tuple[float, str]] = (),
) -> Spec:
    """Curves by name, each ``(xs, ys)``."""
    drawn = [{"name": name, "x": list(xs), "y": list(ys)} for name, (xs, ys) in series.items()]
    return _spec("lines", drawn, title=title, x=x, y=y, marks=marks)


def _spec(
    kind: str,
    series: Sequence[Mapping[str, Any]],
    *,
    title: str,
    x: str,
    y: str,
    marks: Sequence[tuple[float, str]] = (),
) -> Spec:
    return {
        "kind": kind,
        "title": title,
        "x": x,
        "y": y,
        "series": [dict(one) for one in series],
        "marks": [{"x": at, "text": text} for at, text in marks],
    }


def _curves_html(locale: str, panels: Sequence[str]) -> str:
    def place(panel: str) -> str:
        title = html.escape(say(locale, f"curves.{panel}"))
        size = "small" if panel in ("learning_rate", "speed") else "large"
        return (
            f'<figure class="{size}" data-panel="{panel}">'
            f"<figcaption><span>{title}</span><output></output></figcaption>"
            f'<div class="plot" dir="ltr" role="img" aria-label="{title}"></div></figure>'
        )

    smoothing = html.escape(say(locale, "curves.smoothing"))
    return (
        '<div class="curves empty-curves"><p class="waiting soft"></p>'
        f'<label class="smoothing"><span>{smoothing}</span>'
        '<input type="range" min="0" max="0.98" step="0.02" value="0.7" class="ltr"></label>'
        f'<div class="grid">{"".join(place(panel) for panel in panels)}</div></div>'
    )
