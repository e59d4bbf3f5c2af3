"""What the vocabulary tab shows of a learned vocabulary: the advice, figures at a size, the curve, chips, tokens."""

from __future__ import annotations

from pathlib import Path

from studio.errors import StudioError
from studio.i18n import bytes_text, explain, number, say
from studio.jobs.store import ACTIVE, ENDED, PENDING, Job
from studio.services import expansion, jobs, vocabulary
from studio.services.expansion import View
from studio.services.studio import Studio
from studio.tokenizer.worth import ENOUGH
from studio.ui import parts
from studio.ui.parts import Markup
from studio.ui.plots import Spec, lines
from studio.ui.vocabulary_cost import percent, sentence_chips

POINTS = 160
"""Of the curve: more cannot be seen, and a page draws it anew at every move of the slider."""

NEAR = 12
"""A twelfth of the plot's width: closer marks share one word."""


def advice_view(locale: str, view: View) -> Markup:
    """The recommendation in one sentence, which can be «don't»."""
    advice = view.advice
    if advice is None:
        taken = say(locale, "vocabulary.taken", size=view.vocabulary.added)
        return parts.banner(say(locale, "vocabulary.taken_title"), taken, tone="good")
    key = "nothing_frequent" if advice.verdict == "small_text" and not advice.saving else advice.verdict
    body = say(
        locale, f"vocabulary.advice.{key}", size=advice.size, saving=percent(locale, advice.saving),
        enough=ENOUGH,
    )  # fmt: skip
    title = say(locale, "vocabulary.advice.do" if advice.worth_it else "vocabulary.advice.do_not")
    return parts.banner(title, body, tone="good" if advice.worth_it else "warn")


def figures_view(locale: str, view: View) -> Markup:
    """The four figures that decide."""
    found = view.figures

    def before(value: float, digits: int = 2) -> str:
        return say(locale, "vocabulary.before", value=number(locale, value, digits))

    items: list[tuple[object, object, object]] = [
        (number(locale, found.tokens_per_word, 2), say(locale, "vocabulary.fertility"),
         before(found.tokens_per_word_before)),
        (percent(locale, found.saving), say(locale, "vocabulary.saving"), say(locale, "vocabulary.saving_note")),
        (number(locale, view.parity, 2), say(locale, "vocabulary.parity"),
         f"{before(view.parity_before)}{say(locale, 'vocabulary.parity_stories')}"),
    ]  # fmt: skip
    if found.stored_bytes is None:
        items.append((number(locale, found.size), say(locale, "vocabulary.new_tokens"), ""))
    else:
        note = say(locale, "vocabulary.cost_note", parameters=number(locale, _rounded(found.parameters or 0)))
        items.append((bytes_text(locale, found.stored_bytes), say(locale, "vocabulary.cost"), note))
    return parts.figures(items)


def behind_view(locale: str, view: View) -> Markup:
    """What stands behind the four figures: costs, context, how often the tokens occur."""
    behind = parts.join([parts.key_values(_details(locale, view)), _rare(locale, view)])
    return parts.card(say(locale, "vocabulary.behind"), behind)


def _details(locale: str, view: View) -> list[tuple[object, object]]:
    found = view.figures
    total = view.vocabulary.base_vocabulary + found.size
    rows: list[tuple[object, object]] = [
        (say(locale, "vocabulary.base"), parts.code(view.vocabulary.base)),
        (say(locale, "vocabulary.total"), say(locale, "vocabulary.sizes", added=found.size, total=total)),
    ]
    if found.context_words is not None and found.context_words_before is not None:
        words, old = round(found.context_words, -1), round(found.context_words_before, -1)
        rows.append(
            (say(locale, "vocabulary.context"), say(locale, "vocabulary.context_words", words=words, before=old))
        )
    if found.speed is not None:
        rows.append(
            (
                say(locale, "vocabulary.speed"),
                say(locale, "vocabulary.speed_note", times=number(locale, found.speed, 2)),
            )
        )
    if found.trained_bytes is not None:
        memory = bytes_text(locale, found.trained_bytes)
        rows.append((say(locale, "vocabulary.memory"), say(locale, "vocabulary.memory_note", memory=memory)))
    if found.size:
        seen = say(locale, "vocabulary.seen_note", median=found.median, rarest=found.rarest)
        needed = say(
            locale, "vocabulary.needed_note", tokens=number(locale, _rounded(found.training_tokens)), enough=ENOUGH
        )
        rows += [(say(locale, "vocabulary.seen"), seen), (say(locale, "vocabulary.needed"), needed)]
    return rows


def _rare(locale: str, view: View) -> Markup:
    below = view.figures.below
    if not below:
        return Markup("")
    return parts.banner(
        say(locale, "vocabulary.rare_title"),
        say(locale, "vocabulary.rare", below=below, size=view.figures.size, enough=ENOUGH),
        tone="warn",
    )


def _rounded(value: int) -> int:
    """To two digits: more would pretend to be known."""
    return int(float(f"{value:.2g}"))


def curve_spec(locale: str, view: View) -> Spec:
    """Tokens per word against the size, with the slider's place and the knee."""
    curve, words = view.vocabulary.curve, view.vocabulary.words
    step = max(1, (len(curve) - 1) // POINTS)
    sizes = sorted({*range(0, len(curve), step), len(curve) - 1})
    values = [round(curve[size] / words, 4) for size in sizes]
    title = say(locale, "vocabulary.curve")
    knee, here = say(locale, "vocabulary.knee"), say(locale, "vocabulary.here")
    at = view.figures.size
    if abs(view.knee - at) * NEAR < len(curve):  # their words would lie over one another
        knee, here = ("", f"{knee} · {here}") if at >= view.knee else (f"{here} · {knee}", "")
    return lines(
        {title: (sizes, values)},
        title=title,
        x=say(locale, "vocabulary.new_tokens"),
        y=say(locale, "vocabulary.fertility"),
        marks=[(view.knee, knee), (at, here)] if view.advice else [(at, say(locale, "vocabulary.here"))],
    )


def chips_view(locale: str, studio: Studio, view: View, sentence: str) -> Markup:
    """The sentence before and after, new pieces marked; nothing without a sentence."""
    if not sentence.split():
        return Markup("")
    shown: list[object] = []
    for size, key in ((0, "chips_before"), (view.figures.size, "chips_after")):
        found = expansion.sentence_pieces(studio, view.name, sentence, size)
        shown.append(parts.paragraph(say(locale, f"vocabulary.{key}", tokens=len(found)), soft=True))
        shown.append(sentence_chips([piece for piece, _ in found], [new for _, new in found]))
    return parts.card(say(locale, "vocabulary.chips"), parts.join(shown), note=say(locale, "vocabulary.chips_note"))


def tokens_view(locale: str, studio: Studio, view: View, search: str) -> Markup:
    """The new tokens at a size that hold the searched text."""
    found, count = expansion.tokens(studio, view.name, view.figures.size, search)
    rows = [[number(locale, token.order), parts.chips([token.text]), number(locale, token.count)] for token in found]
    headers = [say(locale, f"vocabulary.token.{name}") for name in ("order", "text", "count")]
    told = say(locale, "vocabulary.tokens_shown", shown=len(found), count=count)
    return parts.join(
        [
            parts.paragraph(told, soft=True),
            parts.table(rows, headers, rtl=locale == "fa", numeric=(2,)) if found else "",
        ]
    )


def english_view(locale: str, studio: Studio, view: View, *, measure: bool) -> Markup:
    """«0 of N English texts changed», measured with the tokenizer of this very size, or that it has to be."""
    size = view.figures.size
    if not measure and not expansion.known_english(studio, view.name, size):
        return parts.banner(
            say(locale, "vocabulary.english_title"), say(locale, "vocabulary.english_unknown", size=size)
        )
    changed, checked = expansion.english(studio, view.name, size)
    body = say(locale, "vocabulary.english_note", size=size)
    title = say(locale, "vocabulary.english", changed=changed, checked=checked)
    return parts.banner(title, body, tone="bad" if changed else "good")


def learning_view(locale: str, studio: Studio) -> Markup:
    """The vocabulary that is being learned, or how the last one ended."""
    for job in studio.jobs.listing(kind=vocabulary.KIND, limit=1):
        if job.state in (*PENDING, *ACTIVE):
            return _under_way(locale, job)
        if job.error is not None and job.state in ("failed", "lost"):
            error = StudioError(job.error["code"], **job.error["details"])
            return parts.banner(job.title, explain(locale, error), tone="bad")
        if job.result is not None and Path(job.arguments["out"]).is_dir():
            asked, added = job.arguments["size"], job.result["added"]
            key = "vocabulary.learned" if added == asked else "vocabulary.learned_fewer"
            return parts.paragraph(say(locale, key, name=job.title, added=added, asked=asked), soft=True)
    return Markup("")


def _under_way(locale: str, job: Job) -> Markup:
    text = f"{job.title}: {jobs.note(locale, job) if job.state in ACTIVE else jobs.message(locale, job)}"
    return parts.progress_bar(job.progress, text, locale=locale, eta_seconds=job.eta_seconds)


def active_job(studio: Studio, kind: str) -> Job | None:
    """The job of a kind that runs or waits."""
    return next((job for job in studio.jobs.listing(kind=kind, limit=20) if job.state not in ENDED), None)


def state_mark(studio: Studio) -> Markup:
    """Where the tab stands, for the row of tabs: running, done with a vocabulary, or empty."""
    running = any(active_job(studio, kind) for kind in (vocabulary.KIND, "rows"))
    some = any(studio.settings.vocabularies.glob("[!.]*/vocabulary.json"))
    return parts.tab_state("vocabulary", "running" if running else "done" if some else "empty")
