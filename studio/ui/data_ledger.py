"""What a cleaning did, as the data tab shows it: the ledger as table and bars, rows with their changes marked."""

from __future__ import annotations

from studio.data.cleaning.changes import Change, Stretch
from studio.data.cleaning.ledger import Entry, Ledger
from studio.i18n import number, say
from studio.ui import parts
from studio.ui.data_health import languages_text
from studio.ui.parts import Markup
from studio.ui.plots import Spec, bars
from studio.ui.vocabulary_cost import percent

COLUMNS = ("rule", "unit", "value", "units", "rows", "bytes", "share")


def ledger_view(locale: str, ledger: Ledger, parent: str) -> Markup:
    """Every rule with what it dropped, from what came in to what stayed; the sums are exact."""
    lines: list[list[object]] = [_line(locale, "clean.in", ledger.rows_in, ledger.bytes_in, ledger.bytes_in)]
    lines += [_entry(locale, entry) for entry in ledger.rules]
    for key, amount in (("clean.normalising", ledger.normalising), ("clean.joining", ledger.joining)):
        lines.append(_line(locale, key, amount.rows, amount.bytes, ledger.bytes_in))
    left = ledger.difference()
    if any(left.model_dump().values()):
        lines.append(_line(locale, "clean.difference", left.rows, left.bytes, ledger.bytes_in))
    lines.append(_line(locale, "clean.out", ledger.rows_out, ledger.bytes_out, ledger.bytes_in))
    headers = [say(locale, f"clean.column.{name}") for name in COLUMNS]
    table = parts.table(lines, headers, rtl=locale == "fa", numeric=(2, 3, 4, 5, 6))
    total = sum(ledger.languages.values()) or 1
    shares = {code: count / total for code, count in ledger.languages.items()}
    note = parts.paragraph(say(locale, "clean.ledger_note", parent=parent), soft=True)
    taken = parts.key_values([(say(locale, "clean.languages"), languages_text(locale, shares))]) if shares else ""
    return parts.card(say(locale, "clean.ledger"), parts.join([note, table, taken]))


def _line(locale: str, key: str, rows: int, size: int, whole: int) -> list[object]:
    share = percent(locale, size / whole, 1) if whole else ""
    return [say(locale, key), "", "", "", number(locale, rows) if rows else "", number(locale, size), share]


def _entry(locale: str, entry: Entry) -> list[object]:
    return [
        say(locale, f"clean.rules.{entry.rule}"),
        say(locale, f"clean.unit.{entry.unit}"),
        "" if entry.value is None else number(locale, entry.value),
        number(locale, entry.units) if entry.on else say(locale, "clean.off"),
        number(locale, entry.rows) if entry.rows else "",
        number(locale, entry.bytes) if entry.bytes else "",
        percent(locale, entry.share, 1) if entry.bytes else "",
    ]


def ledger_bars(locale: str, ledger: Ledger) -> Spec:
    """Where the bytes went: what stayed, and each rule that took some, the largest first."""
    whole = ledger.bytes_in or 1
    sizes = {say(locale, f"clean.rules.{entry.rule}"): entry.bytes for entry in ledger.rules if entry.bytes}
    for key, amount in (("clean.normalising", ledger.normalising), ("clean.joining", ledger.joining)):
        if amount.bytes > 0:
            sizes[say(locale, key)] = amount.bytes
    ordered = sorted(sizes.items(), key=lambda item: item[1], reverse=True)
    values = {say(locale, "clean.out"): round(100 * ledger.bytes_out / whole, 2)}
    values |= {name: round(100 * size / whole, 2) for name, size in ordered}
    return bars(values, title=say(locale, "clean.plot"), x=say(locale, "clean.plot_axis"), sideways=True)


def changes_view(locale: str, changes: list[Change], start: int, total: int | None) -> Markup:
    """Rows with what was mended and dropped marked in place."""
    if not changes:
        return parts.paragraph(say(locale, "clean.changes_none"), soft=True)
    counted = {"first": start + 1, "last": start + len(changes)}
    key = "clean.changes_first" if total is None else "clean.changes_count"
    head = parts.paragraph(say(locale, key, **counted, **({} if total is None else {"total": total})), soft=True)
    return parts.join([head, *(_change(locale, change) for change in changes)])


def _change(locale: str, change: Change) -> Markup:
    note = say(locale, "clean.row_dropped", rule=say(locale, f"clean.rules.{change.reason}")) if change.reason else ""
    body: list[object] = []
    last: str | None = None
    for stretch in change.stretches:
        if last is not None and last not in (stretch.reason, change.reason):
            body.append(_because(locale, last))
        body.append(_stretch(stretch))
        last = stretch.reason
    if last is not None and last != change.reason:
        body.append(_because(locale, last))
    if change.cut:
        body.append(Markup(f'<span class="soft">{parts.escape(say(locale, "clean.row_cut"))}</span>'))
    text = Markup(f'<div class="changes" dir="auto">{parts.join(body)}</div>')
    return parts.card(say(locale, "clean.row", row=change.row + 1), text, note=note)


def _stretch(stretch: Stretch) -> Markup:
    text = parts.escape(stretch.text)
    if stretch.reason is not None:
        # Of a dropped stretch only the text matters, not that it was mended before it went.
        return (
            text
            if stretch.kind == "gone" and not text.strip()
            else Markup("" if stretch.kind == "gone" else f'<del class="dropped">{text}</del>')
        )
    tag = {"same": None, "gone": "del", "new": "ins"}[stretch.kind]
    return text if tag is None else Markup(f"<{tag}>{text}</{tag}>")


def _because(locale: str, rule: str) -> Markup:
    return Markup(f'<small class="because">{parts.escape(say(locale, f"clean.rules.{rule}"))}</small>')
