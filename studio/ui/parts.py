"""The pieces that screens are made of, as HTML strings; whatever comes from data is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from studio.errors import StudioError
from studio.i18n import duration_text, explain, number, say

STATES = ("queued", "waiting", "needs_login", "running", "stopping", "stopped", "done", "failed", "lost")
_SIGNS = {
    "queued": "○",
    "waiting": "◔",
    "needs_login": "◇",
    "running": "●",
    "stopping": "◑",
    "stopped": "■",
    "done": "✓",
    "failed": "✕",
    "lost": "✕",
}


class Markup(str):
    """HTML that is safe already: parts return it, and parts that take a body pass it through unescaped."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """`text` as HTML; `Markup` stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(str(text)))


def join(pieces: Iterable[object]) -> Markup:
    """Several parts, one after another."""
    return Markup("".join(escape(piece) for piece in pieces))


def ltr(text: object) -> Markup:
    """Code, an id, a path or a number with a unit, that runs left to right in any line."""
    return Markup(f'<bdi class="ltr" dir="ltr">{escape(text)}</bdi>')


def named(name: str) -> str:
    """A name as part of a sentence that is shown as plain text: its letters do not decide the sentence's direction."""
    return f"\u2068{name}\u2069"


def code(text: object) -> Markup:
    """A short piece of code or a path, in monospace, left to right."""
    return Markup(f'<code class="ltr" dir="ltr">{escape(text)}</code>')


def paragraph(text: object, *, soft: bool = False) -> Markup:
    """A sentence or several; `soft` for what explains rather than states."""
    return Markup(f'<p class="{"soft" if soft else ""}">{escape(text)}</p>')


def heading(title: object, lead: object = "", *, term: str = "") -> Markup:
    """What this screen asks, and one sentence; `term` is the field's word in small type."""
    small = f' <small class="term" dir="auto">{escape(term)}</small>' if term else ""
    below = f'<p class="soft">{escape(lead)}</p>' if lead else ""
    return Markup(f'<div class="heading"><h2>{escape(title)}{small}</h2>{below}</div>')


def card(title: object, body: object, *, note: object = "", actions: object = "") -> Markup:
    """A box with a title, a body, a soft note beside the title and a row of actions below."""
    aside = f'<span class="soft">{escape(note)}</span>' if note else ""
    foot = f'<footer class="actions">{escape(actions)}</footer>' if actions else ""
    top = f"<header><h3>{escape(title)}</h3>{aside}</header>"
    return Markup(f'<section class="card">{top}<div>{escape(body)}</div>{foot}</section>')


def figures(items: Sequence[tuple[object, object, object]]) -> Markup:
    """Numbers that decide, big: ``(value, label, note)``; an empty note is left out."""
    cells = "".join(
        f'<div class="figure"><dd><bdi>{escape(value)}</bdi></dd><dt>{escape(label)}</dt>'
        f"{f'<p>{escape(note)}</p>' if note else ''}</div>"
        for value, label, note in items
    )
    return Markup(f'<dl class="figures">{cells}</dl>')


def chips(pieces: Sequence[object], *, rtl: bool = True, marked: Sequence[bool] | None = None) -> Markup:
    """Tokens of a sentence, one chip each, in reading order; those `marked` (new ones) stand out.

    Spaces and line ends are shown as ``␣`` and ``⏎``: a chip that looks empty would hide what it costs.
    """
    flags = marked or [False] * len(pieces)
    shown = "".join(
        f'<li class="{"marked" if flag else ""}">{_visible(piece)}</li>'
        for piece, flag in zip(pieces, flags, strict=True)
    )
    return Markup(f'<ol class="chips" dir="{"rtl" if rtl else "ltr"}">{shown}</ol>')


def progress_bar(
    fraction: float | None, text: object, *, locale: str = "en", eta_seconds: float | None = None
) -> Markup:
    """A bar with a line below it; None for a job that cannot say how far it is.

    Args:
        fraction: Share done, 0 to 1.
        text: What is being done.
        locale: Language of the percentage and of the time left.
        eta_seconds: Time left, if known.
    """
    if fraction is None:
        return Markup(
            '<div class="progress"><div class="bar unknown" role="progressbar"><i></i></div>'
            f"<p><span>{escape(text)}</span></p></div>"
        )
    percent = 100 * min(max(fraction, 0.0), 1.0)
    shown = say(locale, "progress.percent", percent=number(locale, int(percent)))
    left = say(locale, "progress.left", time=duration_text(locale, eta_seconds)) if eta_seconds is not None else ""
    return Markup(
        f'<div class="progress"><div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{percent:.0f}" aria-label="{escape(text)}"><i style="inline-size:{percent:.1f}%"></i></div>'
        f"<p><span>{escape(text)}</span><bdi>{escape(shown)}</bdi><bdi>{escape(left)}</bdi></p></div>"
    )


def status_pill(locale: str, state: str) -> Markup:
    """A job's state by shape, word and colour.

    Raises:
        KeyError: If `state` is none of `STATES`.
    """
    sign = f'<span aria-hidden="true">{_SIGNS[state]}</span>'
    return Markup(f'<span class="pill {state}">{sign}{escape(say(locale, f"states.{state}"))}</span>')


def empty_state(title: object, purpose: object, *, example: object = "", action: object = "") -> Markup:
    """A screen without content yet: what it is for, one example, one button (see `go_button`)."""
    shown = f'<p class="example">{escape(example)}</p>' if example else ""
    words = f'<h3>{escape(title)}</h3><p class="soft">{escape(purpose)}</p>'
    return Markup(f'<section class="empty">{words}{shown}{escape(action)}</section>')


def go_button(text: object, tab: str, *, primary: bool = True) -> Markup:
    """A button inside HTML that opens another tab."""
    look = "primary" if primary else "secondary"
    return Markup(f'<button type="button" class="button {look}" data-go="{escape(tab)}">{escape(text)}</button>')


def banner(title: object, body: object, *, tone: str = "note", actions: object = "") -> Markup:
    """A line across the screen; `tone` is ``note``, ``good``, ``warn`` or ``bad``."""
    sign = {"note": "ℹ", "good": "✓", "warn": "!", "bad": "✕"}[tone]
    role = "alert" if tone in ("warn", "bad") else "status"
    foot = f'<div class="actions">{escape(actions)}</div>' if actions else ""
    return Markup(
        f'<section class="banner {tone}" role="{role}"><span class="sign" aria-hidden="true">{sign}</span>'
        f"<div><strong>{escape(title)}</strong><p>{escape(body)}</p>{foot}</div></section>"
    )


def error_banner(locale: str, error: StudioError, *, actions: object = "") -> Markup:
    """What happened and what to do, for an error that a user can mend."""
    return banner(say(locale, "banner.error"), explain(locale, error), tone="bad", actions=actions)


def log_view(lines: Sequence[object], *, empty: object = "") -> Markup:
    """The tail of a log, left to right, as wide as it needs; it opens at its end and stays there (``studio.js``)."""
    body = "\n".join(escape(line) for line in lines) or escape(empty)
    return Markup(f'<pre class="log ltr" dir="ltr" tabindex="0" data-follow>{body}</pre>')


def key_values(pairs: Sequence[tuple[object, object]]) -> Markup:
    """Names and values in two columns."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd><bdi>{escape(value)}</bdi></dd>" for name, value in pairs)
    return Markup(f'<dl class="pairs">{rows}</dl>')


def table(
    rows: Sequence[Sequence[object]],
    headers: Sequence[object],
    *,
    rtl: bool = True,
    numeric: Sequence[int] = (),
    caption: object = "",
) -> Markup:
    """A plain table; every cell finds its own direction.

    Args:
        rows: Cells; each row has as many as there are headers.
        headers: Names of the columns.
        rtl: Whether the first column stands on the right.
        numeric: Positions of columns of numbers, which line up at their end.
        caption: Said before the table.
    """

    def cells(row: Sequence[object], tag: str) -> str:
        return "".join(
            f'<{tag} dir="auto" class="{"number" if at in numeric else ""}">{escape(cell)}</{tag}>'
            for at, cell in enumerate(row)
        )

    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return Markup(
        f'<div class="table" dir="{"rtl" if rtl else "ltr"}" tabindex="0"><table>{said}'
        f"<thead><tr>{cells(headers, 'th')}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def steps_rail(steps: Sequence[tuple[object, str]]) -> Markup:
    """Stages of a run in order: ``(name, state)`` with ``todo``, ``running``, ``done`` or ``failed``."""
    signs = {"todo": "○", "running": "●", "done": "✓", "failed": "✕"}
    shown = "".join(
        f'<li class="{state}"{" aria-current=step" if state == "running" else ""}>'
        f'<span aria-hidden="true">{signs[state]}</span><b>{escape(name)}</b></li>'
        for name, state in steps
    )
    return Markup(f'<ol class="rail">{shown}</ol>')


def samples(items: Sequence[tuple[object, object, object]]) -> Markup:
    """Answers of a model while it learns: ``(when, prompt, answer)``, the newest first."""
    shown = "".join(
        f'<li><span class="soft">{escape(when)}</span><p class="prompt" dir="auto">{escape(prompt)}</p>'
        f'<p class="answer" dir="auto">{escape(answer)}</p></li>'
        for when, prompt, answer in items
    )
    return Markup(f'<ol class="samples">{shown}</ol>')


def diary(entries: Sequence[tuple[object, object, str]]) -> Markup:
    """What happened, newest first: moment, sentence, and tone (``note``, ``good``, ``warn``, ``bad``)."""
    items = [
        Markup(f'<li class="{tone}"><time>{escape(moment)}</time><span>{escape(text)}</span></li>')
        for moment, text, tone in entries
    ]
    return Markup(f'<ol class="diary">{join(items)}</ol>')


def folded(title: object, body: object) -> Markup:
    """What few want to see: a line that opens."""
    return Markup(f'<details class="folded"><summary>{escape(title)}</summary><div>{escape(body)}</div></details>')


def tab_state(tab: str, state: str) -> Markup:
    """An invisible word to ``studio.js``: mark `tab` as ``empty``, ``ready``, ``running`` or ``done``."""
    return Markup(f'<span hidden data-tab="{escape(tab)}" data-tab-state="{escape(state)}"></span>')


def _visible(piece: object) -> Markup:
    text = escape(piece)
    for hidden, sign in ((" ", "␣"), ("\n", "⏎"), ("\t", "⇥"), ("\u200c", "⸱")):
        text = Markup(text.replace(hidden, f'<i class="space">{sign}</i>'))
    return text
