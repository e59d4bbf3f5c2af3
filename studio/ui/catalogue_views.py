"""How a dataset of the catalogue looks before it is imported, and how a licence looks anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from studio.data.catalogue import WARNINGS, Warn, warnings_of
from studio.data.licences import traits
from studio.data.manifest import HubOrigin
from studio.dates import date_text
from studio.errors import StudioError
from studio.i18n import bytes_text, number, say
from studio.jobs.store import ENDED, Job
from studio.services import jobs
from studio.services.catalogue import Offer
from studio.ui import parts
from studio.ui.parts import Markup

# Colour and sign of a trait; the word beside them says the same.
_TONES = {
    "unknown": ("needs_login", "?"),
    "own_terms": ("stopped", "!"),
    "share_alike": ("stopped", "↻"),
    "non_commercial": ("failed", "✕"),
    "no_derivatives": ("failed", "✕"),
}
_LICENCE_LENGTH = 48
_GRAVE: tuple[Warn, ...] = ("benchmark_only",)


def licence_badge(locale: str, licence: str | None) -> Markup:
    """A licence and what it asks for, as a pill each; an open one says so."""
    shown = (licence or say(locale, "licence.none"))[:_LICENCE_LENGTH]
    found = [(trait, *_TONES[trait]) for trait in traits(licence)] or [("open", "done", "✓")]
    pills = [
        Markup(f'<span class="pill {tone}"><span aria-hidden="true">{sign}</span>')
        + parts.escape(say(locale, f"licence.trait.{trait}"))
        + "</span>"
        for trait, tone, sign in found
    ]
    name = parts.ltr(shown) if licence else parts.escape(shown)
    return Markup(" ".join([name, *pills]))


def stored_warnings(locale: str, origin: HubOrigin | None) -> Markup:
    """What to know of a stored dataset that came from the Hub; nothing of others."""
    return _warnings(locale, tuple(code for code in WARNINGS if origin and code in origin.warnings))


def catalogue_card(locale: str, offer: Offer, check: Job | None) -> Markup:
    """Facts, doubts and warnings of a dataset, and what the Hub said of it."""
    facts = offer.entry
    body = [
        parts.paragraph(facts.note.fa if locale == "fa" else facts.note.en),
        _banners(locale, offer),
        _facts(locale, offer),
        _unverified(locale, offer),
        check_line(locale, check),
    ]
    kind = say(locale, f"catalogue.kind.{facts.kind}")
    return parts.card(parts.code(facts.name), parts.join(body), note=kind)


def _facts(locale: str, offer: Offer) -> Markup:
    """Names and values; what is not known is left out, and what is doubtful is marked."""
    facts = offer.entry
    papers = _comma(locale, [say(locale, f"catalogue.paper.{paper}") for paper in facts.used_by])
    rows: list[tuple[str, set[str], object]] = [
        ("id", {"id"}, parts.code(facts.id) if facts.id else ""),
        ("where", set(), parts.ltr(facts.where) if facts.where else ""),
        ("licence", {"licence"}, licence_badge(locale, facts.licence) if facts.id or facts.licence else ""),
        ("config", {"config"}, parts.code(facts.config) if facts.config else ""),
        ("splits", {"split", "splits"}, _splits(locale, offer)),
        ("size", {"bytes"}, _size(locale, offer)),
        ("used_by", {"used_by"}, papers),
        ("source", set(), facts.source),
    ]
    if facts.id:
        rows.insert(6, ("reads", set(), _reads(locale, offer)))
        rows.insert(7, ("columns", {"mapping"}, _columns(locale, offer)))
        rows.insert(8, ("state", set(), _state(locale, offer)))
    return parts.key_values(
        [
            (say(locale, f"catalogue.{key}"), _doubtful(locale, value) if fields & set(facts.unverified) else value)
            for key, fields, value in rows
            if value
        ]
    )


def _doubtful(locale: str, value: object) -> Markup:
    sign = '<span aria-hidden="true">?</span>'
    word = parts.escape(say(locale, "catalogue.unverified"))
    return Markup(f'{parts.escape(value)} <span class="pill needs_login">{sign}{word}</span>')


def _unverified(locale: str, offer: Offer) -> Markup:
    if not offer.entry.unverified:
        return Markup("")
    fields = _comma(locale, [say(locale, f"catalogue.field.{field}") for field in offer.entry.unverified])
    return parts.paragraph(say(locale, "catalogue.unverified_fields", fields=fields), soft=True)


def _banners(locale: str, offer: Offer) -> Markup:
    if offer.entry.id is None:
        bring = parts.banner(say(locale, "catalogue.bring"), say(locale, "catalogue.bring_do"), tone="warn")
    else:
        bring = Markup("")
    found = warnings_of(offer.entry, offer.entry.licence) if offer.entry.id else tuple(offer.entry.warnings)
    return parts.join([bring, _warnings(locale, found)])


def _warnings(locale: str, found: Sequence[Warn]) -> Markup:
    """What forbids training in red, the rest together."""
    grave = [code for code in found if code in _GRAVE]
    loud = [
        parts.banner(say(locale, f"catalogue.warning.{code}"), say(locale, f"catalogue.warning.{code}.do"), tone="bad")
        for code in grave
    ]
    lines = [
        Markup(f"<b>{parts.escape(say(locale, f'catalogue.warning.{code}'))}.</b> ")
        + parts.escape(say(locale, f"catalogue.warning.{code}.do"))
        for code in found
        if code not in grave
    ]
    if not lines:
        return parts.join(loud)
    listed = Markup("<br>".join(lines))
    return parts.join([*loud, parts.banner(say(locale, "catalogue.warnings"), listed, tone="warn")])


def _splits(locale: str, offer: Offer) -> Markup:
    shown = [
        parts.join([parts.ltr(name), f": {number(locale, rows)}" if rows is not None else ""])
        for name, rows in offer.entry.splits.items()
    ]
    return Markup(("، " if locale == "fa" else ", ").join(shown))


def _size(locale: str, offer: Offer) -> str:
    facts = offer.entry
    known = [bytes_text(locale, facts.bytes)] if facts.bytes else []
    if facts.size_class:
        known.append(say(locale, "catalogue.size_class", size=facts.size_class))
    return _comma(locale, known)


def _reads(locale: str, offer: Offer) -> str:
    rows, total = offer.rows_to_read, offer.entry.rows
    if total is None:
        shown = say(locale, "catalogue.reads_rows", rows=rows)
    elif rows >= total:
        shown = say(locale, "catalogue.reads_all", rows=rows)
    else:
        shown = say(locale, "catalogue.reads_of", rows=rows, total=total, percent=float(f"{100 * rows / total:.1g}"))
    size = offer.bytes_to_read
    about = [say(locale, "catalogue.reads_bytes", size=bytes_text(locale, size))] if size else []
    return _comma(locale, [shown, *about])


def _columns(locale: str, offer: Offer) -> Markup:
    mapping = offer.entry.mapping
    if mapping is None:
        return parts.escape(say(locale, "catalogue.columns_guessed"))
    names = Markup("، " if locale == "fa" else ", ").join(parts.code(name) for name in mapping.columns.values())
    return parts.join([say(locale, f"data.form.{mapping.form}"), ": ", Markup(names)])


def _state(locale: str, offer: Offer) -> Markup:
    if offer.finding is None:
        return parts.escape(say(locale, "catalogue.state.never"))
    tones = {"found": ("done", "✓"), "not_found": ("failed", "✕"), "gated": ("needs_login", "◇")}
    tone, sign = tones.get(offer.finding.state, ("", "?"))
    state = say(locale, f"catalogue.state.{offer.finding.state}")
    line = say(locale, "catalogue.on", state=state, date=date_text(locale, offer.finding.checked))
    return Markup(f'<span class="{tone}"><span aria-hidden="true">{sign}</span> {parts.escape(line)}</span>')


def check_line(locale: str, job: Job | None) -> Markup:
    """The check that runs, or how the last one ended."""
    if job is None:
        return Markup("")
    if job.state not in ENDED:
        return parts.progress_bar(job.progress, jobs.message(locale, job), locale=locale)
    if job.error is not None:
        return parts.error_banner(locale, StudioError(job.error["code"], **job.error["details"]))
    if len(job.arguments["repos"]) == 1:
        return Markup("")  # its card says so
    states = (job.result or {}).get("states", {})
    open_ = states.get("unreachable", 0) + states.get("unknown", 0)
    counts = {state: states.get(state, 0) for state in ("found", "not_found", "gated")}
    return parts.paragraph(say(locale, "catalogue.checked_all", open=open_, **counts), soft=True)


def _comma(locale: str, pieces: list[str]) -> str:
    return ("، " if locale == "fa" else ", ").join(pieces)
