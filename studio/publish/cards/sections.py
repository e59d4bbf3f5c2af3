"""Parts of a model card that hold figures: stages, vocabulary, evaluations, votes, data, and what the run took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.evaluation.results import Figure
from studio.evaluation.scores import Difference
from studio.evaluation.suites import CORPUS_METRICS
from studio.evaluation.tallies import Tally
from studio.i18n import Locale, duration_text, energy_text, number, say
from studio.publish.cards.facts import CardFacts, DataFacts, EnergyFacts, EvaluationFacts, StageFacts, TaskFacts
from studio.publish.cards.markdown import code, listed, plain, table

LANGUAGES = ("fa", "en")
UNKNOWN = "—"


def results(locale: Locale, facts: CardFacts) -> list[str]:
    """What every stage took and gave, the curves, the cost in English, and what the vocabulary saves."""
    parts = []
    if facts.stages:
        parts.append(_stages(locale, facts.stages, facts.base_bits))
        if facts.base_bits or any(stage.bits for stage in facts.stages):
            parts.append(say(locale, "card.results.bits_note"))
            parts += [say(locale, "card.results.before_conversion")] if facts.kind == "gguf" else []
    if facts.curves is not None:
        parts.append(f"![{say(locale, 'card.results.curves')}]({picture_name(locale)})")
    if (change := facts.english_change) is not None and facts.recipe is not None:
        limit = 100 * facts.recipe.evaluation.english_limit
        key = "lost" if change > 0 else "gained"
        percent = number(locale, abs(100 * change), 2)
        parts.append(say(locale, f"card.results.english_{key}", percent=percent, limit=limit))
    if (words := facts.vocabulary) is not None:
        before, after = number(locale, words.before, 2), number(locale, words.after, 2)
        told = {"added": words.added, "whole": words.whole, "before": before, "after": after}
        parts.append(say(locale, "card.results.vocabulary", **told))
    return parts


def picture_name(locale: Locale) -> str:
    """The file of the curves in one language, beside the card."""
    return f"curves-{locale}.svg"


def _stages(locale: Locale, stages: Sequence[StageFacts], base: Mapping[str, float]) -> str:
    measured = [language for language in LANGUAGES if language in base or any(language in s.bits for s in stages)]
    columns = ["stage", "steps", "tokens", "characters", "time", "loss", *(f"bits_{each}" for each in measured)]
    rows = []
    if base:
        rows.append([say(locale, "card.base.heading"), *[UNKNOWN] * 5, *(_bits(locale, base, at) for at in measured)])
    for stage in stages:
        counts = [number(locale, value) for value in (stage.steps, stage.tokens, stage.characters)]
        seconds = UNKNOWN if stage.seconds is None else duration_text(locale, stage.seconds)
        loss = UNKNOWN if stage.loss is None else number(locale, stage.loss, 3)
        bits = [_bits(locale, stage.bits, language) for language in measured]
        rows.append([f"{code(stage.name)} ({say(locale, f'card.kind.{stage.kind}')})", *counts, seconds, loss, *bits])
    return table([say(locale, f"card.results.{column}") for column in columns], rows)


def _bits(locale: Locale, bits: Mapping[str, float], language: str) -> str:
    return number(locale, bits[language], 3) if language in bits else UNKNOWN


def evaluations(locale: Locale, facts: CardFacts) -> list[str]:
    """Every suite as a table, what its intervals are, and the blind votes."""
    parts = [say(locale, "card.results.before_conversion")] if facts.kind == "gguf" and facts.evaluations else []
    for suite in facts.evaluations:
        parts += [_suite_title(locale, suite), _suite(locale, suite.tasks)]
    if facts.evaluations:
        parts.append(say(locale, "evaluate.interval_note"))
    for task in [task for suite in facts.evaluations for task in suite.tasks if task.contaminated]:
        details = {"task": code(task.task), "items": task.contaminated}
        parts.append(say(locale, "card.evaluation.contaminated", **details))
    return parts + [_votes(locale, votes) for votes in facts.votes]


def _suite_title(locale: Locale, suite: EvaluationFacts) -> str:
    version = f" (lm-eval {plain(suite.version)})" if suite.version else ""
    return f"{say(locale, 'card.evaluation.suite', suite=code(suite.suite))}{version}"


def _suite(locale: Locale, tasks: Sequence[TaskFacts]) -> str:
    against = any(task.base is not None for task in tasks)
    columns = ["task", "source", "items", "chance", "model", *(["base", "difference"] if against else [])]
    rows = []
    for task in tasks:
        chance = UNKNOWN if task.chance is None else share_text(locale, task.metric, task.chance)
        row = [f"{code(task.task)} ({plain(task.metric)})", UNKNOWN if task.source is None else plain(task.source),
               number(locale, task.figure.items), chance, figure_text(locale, task.metric, task.figure)]  # fmt: skip
        if against:
            base = UNKNOWN if task.base is None else figure_text(locale, task.metric, task.base)
            row += [base, difference_text(locale, task.metric, task.difference)]
        rows.append(row)
    return table([say(locale, f"card.evaluation.{column}") for column in columns], rows)


def share_text(locale: Locale, metric: str, value: float) -> str:
    """Shares as per cent, BLEU and chrF as they are."""
    if metric in CORPUS_METRICS:
        return number(locale, value, 1)
    return say(locale, "report.percent", percent=number(locale, 100 * value, 1))


def figure_text(locale: Locale, metric: str, figure: Figure) -> str:
    """A figure with its interval."""
    low, high = share_text(locale, metric, figure.low), share_text(locale, metric, figure.high)
    return f"{share_text(locale, metric, figure.value)} ({say(locale, 'evaluate.interval', low=low, high=high)})"


def difference_text(locale: Locale, metric: str, found: Difference | None) -> str:
    """How the model differs from its base, or that no difference was shown."""
    if found is None:
        return UNKNOWN
    if not found.shown:
        return say(locale, "evaluate.no_difference")
    low, high = sorted((abs(found.low), abs(found.high)))
    told = {"difference": abs(found.difference), "low": low, "high": high}
    key = "evaluate.better" if found.difference > 0 else "evaluate.worse"
    return say(locale, key, **{name: share_text(locale, metric, value) for name, value in told.items()})


def _votes(locale: Locale, votes: Tally) -> str:
    counts = {"wins": votes.wins, "losses": votes.losses, "equal": votes.equal, "bad": votes.bad}
    told = say(locale, "card.votes.counts", against=code(votes.against), **counts)
    if votes.share is None:
        return told
    share, low, high = (share_text(locale, "acc", value) for value in (votes.share, *votes.interval))
    sentence = say(locale, "card.votes.share", share=share, low=low, high=high)
    shown = say(locale, "card.votes.shown" if votes.shows_difference else "card.votes.not_shown")
    return f"{told} {sentence} {shown}"


def data(locale: Locale, datasets: Sequence[DataFacts]) -> list[str]:
    """The datasets with their licences, and what cleanings took from them."""
    if not datasets:
        return [say(locale, "card.data.unknown")]
    unknown = say(locale, "card.unknown")
    rows = [
        [
            code(each.name),
            unknown if each.rows is None else number(locale, each.rows),
            unknown if each.characters is None else number(locale, each.characters),
            plain(each.licence) if each.licence else unknown,
            plain(each.source) if each.source else unknown,
        ]
        for each in datasets
    ]
    heads = [say(locale, f"card.data.{column}") for column in ("name", "rows", "characters", "licence", "source")]
    return [table(heads, rows), *(_cleaning(locale, each) for each in datasets if each.cleaning is not None)]


def _cleaning(locale: Locale, each: DataFacts) -> str:
    books = each.cleaning
    assert books is not None
    key = "card.data.cleaned" if books.taken else "card.data.cleaned_whole"
    told = say(locale, key, name=code(each.name), parent=code(books.parent),
               rows_in=books.rows_in, rows_out=books.rows_out)  # fmt: skip
    if not books.taken:
        return told
    rows = [
        [say(locale, f"clean.rules.{taken.rule}"), number(locale, taken.units),
         say(locale, "report.percent", percent=number(locale, 100 * taken.share, 2))]
        for taken in books.taken
    ]  # fmt: skip
    return f"{told}\n\n{table([say(locale, f'card.data.{name}') for name in ('rule', 'units', 'share')], rows)}"


def cost(locale: Locale, facts: CardFacts) -> list[str]:
    """Time, device, energy and its CO₂; nothing of what nobody counted."""
    lines = []
    if facts.seconds is not None:
        lines.append(say(locale, "card.cost.time", time=duration_text(locale, facts.seconds)))
    if facts.device:
        lines.append(say(locale, "card.cost.device", device=code(facts.device)))
    if facts.energy is not None:
        lines += _energy(locale, facts.energy)
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def _energy(locale: Locale, energy: EnergyFacts) -> list[str]:
    amount = energy_text(locale, energy.joules)
    source = f" ({say(locale, f'train.energy.{energy.source}')})" if energy.source else ""
    kind = "own" if energy.own else "world"
    grams = energy.grams
    unit, value = ("kilograms", grams / 1000) if grams >= 1000 else ("grams", grams)
    mass = say(locale, f"card.cost.{unit}", value=number(locale, float(f"{value:.3g}")))
    carbon = say(locale, f"card.cost.carbon_{kind}", carbon=mass, intensity=energy.intensity)
    return [f"{say(locale, 'card.cost.energy', energy=amount)}{source}", carbon]


def listed_kinds(locale: Locale, facts: CardFacts) -> str:
    """The kinds of the run's stages in their order, each where it begins anew."""
    stages = facts.recipe.stages if facts.recipe is not None else []
    kinds = [stage.kind for at, stage in enumerate(stages) if not at or stages[at - 1].kind != stage.kind]
    return listed(locale, (say(locale, f"card.kind.{kind}") for kind in kinds))
