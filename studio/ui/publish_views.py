"""What the publish tab shows: exports with their checklists, figures between run and base, plans, and what is out."""

from __future__ import annotations

from studio.dates import moment_text
from studio.i18n import bytes_text, explain, number, say
from studio.services import merging, publishing
from studio.services.publishing import Export, Plan
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.job_lines import job_lines
from studio.ui.line_picture import Line, line_picture
from studio.ui.parts import Markup
from studio.ui.publish_checks import checklist

MAKING = ("merge", "adapter", "gguf", "verify")


def exports_view(locale: str, studio: Studio) -> Markup:
    """Exports under way, and those that there are with what was proved of each."""
    cards = [_export(locale, each) for each in publishing.exports(studio)]
    empty = parts.paragraph(say(locale, "publish.exports_empty"), soft=True)
    return parts.join([*(job_lines(locale, studio, kind) for kind in MAKING), *(cards or [empty])])


def _export(locale: str, export: Export) -> Markup:
    rows: list[tuple[object, object]] = [
        (say(locale, "publish.path"), parts.code(export.folder)),
        (say(locale, "publish.size"), bytes_text(locale, export.bytes)),
    ]
    if export.record is None:
        note = parts.paragraph(say(locale, "publish.unchecked"), soft=True)
        return parts.card(parts.code(export.name), parts.join([note, parts.key_values(rows)]))
    rows.insert(0, (say(locale, "publish.made_of"), parts.code(export.record.run)))
    body = parts.join([checklist(locale, export.record), parts.key_values(rows)])
    return parts.card(parts.code(export.name), body, note=say(locale, f"publish.kind.{export.record.kind}"))


def towards_view(locale: str, studio: Studio, run: str) -> Markup:
    """Both figures from the run to its base, once they have been measured."""
    under_way = job_lines(locale, studio, "towards")
    points = merging.curve(studio, run) if run else None
    if not points:
        return parts.join([under_way, parts.paragraph(say(locale, "publish.towards_empty"), soft=True)])
    places = [number(locale, point.towards_base, 2) for point in points]
    lines = [
        Line(say(locale, "curves.bits_fa"), [(place, point.fa) for place, point in enumerate(points)]),
        Line(say(locale, "curves.bits_en"), [(place, point.en) for place, point in enumerate(points)]),
    ]
    return parts.join([under_way, line_picture(locale, say(locale, "publish.towards_title"), places, lines)])


def plan_view(locale: str, plan: Plan) -> Markup:
    """Exactly what would be sent, what the licences ask, and what would stop it."""
    total = say(locale, "publish.plan_total", files=number(locale, len(plan.files)),
                size=bytes_text(locale, plan.bytes), sent=bytes_text(locale, plan.bytes_to_send))  # fmt: skip
    seen = say(locale, "publish.plan_private" if plan.private else "publish.plan_public")
    rows = [
        [parts.code(each.name), bytes_text(locale, each.bytes), say(locale, f"publish.change.{each.change}")]
        for each in plan.files
    ]
    headers = [say(locale, f"publish.plan_column.{name}") for name in ("file", "size", "change")]
    problems = [
        parts.banner(say(locale, "banner.error"), explain(locale, each), tone="warn") for each in plan.problems
    ]
    body = [
        *problems,
        parts.paragraph(f"{total} · {seen}"),
        _licences(locale, plan),
        parts.table(rows, headers, rtl=locale == "fa", numeric=(1,)),
    ]
    return parts.card(say(locale, "publish.plan_title", repo=parts.named(plan.repo)), parts.join(body))


def _licences(locale: str, plan: Plan) -> Markup:
    if not plan.licences:
        return parts.paragraph(say(locale, "publish.plan_no_licences"), soft=True)
    said = [
        parts.paragraph(say(locale, f"licence.finding.{each.code}", subject=parts.named(each.subject),
                            licence=parts.named(each.licence)))
        for each in plan.licences
    ]  # fmt: skip
    return parts.card(say(locale, "publish.plan_licences"), parts.join(said))


def published_view(locale: str, studio: Studio) -> Markup:
    """Uploads under way, and what has been published."""
    found = publishing.published(studio)
    rows = [
        [
            Markup(f'<a href="{parts.escape(each.url)}" target="_blank" rel="noopener">{parts.ltr(each.repo)}</a>'),
            say(locale, f"publish.kind_short.{each.kind}"),
            parts.code(each.revision[:8]),
            moment_text(locale, each.when),
        ]
        for each in found
    ]
    headers = [say(locale, f"publish.published_column.{name}") for name in ("repo", "kind", "revision", "when")]
    shown = parts.table(rows, headers, rtl=locale == "fa") if rows else None
    empty = parts.paragraph(say(locale, "publish.published_empty"), soft=True)
    return parts.join([job_lines(locale, studio, "publish"), shown or empty])
