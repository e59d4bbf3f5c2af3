"""What the mix section shows: the running total, the shares of each source, and mixes under way."""

from __future__ import annotations

from typing import Any

from studio.errors import StudioError
from studio.i18n import duration_text, explain, number, say
from studio.jobs.store import ACTIVE, PENDING, Job
from studio.services import jobs, mixing
from studio.services.mixing import Estimate, Share
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.parts import Markup

COLUMNS = ("dataset", "share", "tokens", "passes")


def estimate_view(locale: str, found: Estimate) -> Markup:
    """The running total in tokens and hours, the table of shares, and what to know."""
    model = parts.ltr(found.model)
    items: list[tuple[object, object, object]] = [
        (tokens_text(locale, found.tokens), say(locale, "mix.total"), say(locale, "mix.total_note"))
    ]
    without = Markup("")
    if found.seconds is None:
        without = parts.paragraph(Markup(parts.escape(say(locale, "mix.no_time", model="\0")).replace("\0", model)),
                                  soft=True)  # fmt: skip
    else:
        note = Markup(parts.escape(say(locale, "mix.time_note", model="\0")).replace("\0", model))
        items.append((f"≈ {duration_text(locale, found.seconds)}", say(locale, "mix.time"), note))
    rows = [_row(locale, share) for share in found.sources]
    headers = [say(locale, f"mix.column.{column}") for column in COLUMNS]
    table = parts.table(rows, headers, rtl=locale == "fa", numeric=(1, 2, 3))
    shown = parts.join([parts.figures(items), without, table])
    return parts.join([parts.card(say(locale, "mix.result"), shown), warnings_view(locale, found.warnings)])


def tokens_text(locale: str, tokens: int) -> str:
    """A number of tokens, in millions from a million on."""
    if tokens >= 1_000_000:
        return say(locale, "mix.million", value=number(locale, tokens / 1e6, 1))
    return number(locale, tokens)


def _row(locale: str, share: Share) -> list[object]:
    name = share.manifest.name
    shown = say(locale, "mix.replay_row", name=name) if share.source.replay else name
    passes = number(locale, share.passes, 2) + (f" · {say(locale, 'mix.ends')}" if share.ends else "")
    percent = say(locale, "progress.percent", percent=number(locale, 100 * share.share, 1))
    return [shown, percent, number(locale, share.tokens), passes]


def warnings_view(locale: str, warnings: list[dict[str, Any]]) -> Markup:
    """What to know about a mix; what a user should mend stands out."""
    return parts.join(
        parts.banner(
            say(locale, "mix.notes"),
            mixing.warning_text(locale, each),
            tone="warn" if each["code"] in ("no_english", "short", "ran_out") else "note",
        )
        for each in warnings
    )


def mixing_view(locale: str, studio: Studio) -> Markup:
    """The mix under way, or how the last one ended."""
    for job in studio.jobs.listing(kind=mixing.KIND, limit=1):
        if job.state in (*PENDING, *ACTIVE):
            text = f"{job.title}: {jobs.note(locale, job) if job.state in ACTIVE else jobs.message(locale, job)}"
            return parts.progress_bar(job.progress, text, locale=locale, eta_seconds=job.eta_seconds)
        if job.error is not None and job.state in ("failed", "lost"):
            error = StudioError(job.error["code"], **job.error["details"])
            return parts.banner(job.title, explain(locale, error), tone="bad")
        if job.result is not None:
            return _done(locale, job, job.result)
    return Markup("")


def _done(locale: str, job: Job, result: dict[str, Any]) -> Markup:
    told = [say(locale, "mix.done", name=job.title, rows=result["rows"], tokens=result["tokens"])]
    if (aside := result["held_out"]) is not None:
        told.append(say(locale, "mix.done_beside", name=aside["name"], rows=aside["rows"], tokens=aside["tokens"]))
    return parts.join([*(parts.paragraph(each) for each in told), warnings_view(locale, result["warnings"])])
