"""Mixing datasets: what a mix would come to, answered at once, and the job that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from studio.auth import owner_only
from studio.data.manifest import Manifest, check_name
from studio.data.mixing import mix as mixes
from studio.data.mixing.measure import tokens_per_character
from studio.data.mixing.order import REPLAY, SEED, Cap, Order, Source
from studio.data.mixing.rendering import Count, counting, kind_of_mix
from studio.data.mixing.shares import Plan, Size, plan
from studio.data.pairs import Direction
from studio.data.sample import Kind
from studio.errors import StudioError
from studio.i18n import number, say
from studio.jobs.store import Job, NewJob
from studio.models.files import locate_tokenizer
from studio.models.reference import parse_reference
from studio.models.tokenizer import load_tokenizer
from studio.services import datasets, models, runs
from studio.services.studio import Studio
from studio.services.vocabulary import folder_of, opened

KIND = "mix"
ENGLISH = 0.2
"""A dataset with a smaller share of Arabic-script letters counts as English."""

SPEEDS = 5
"""Runs of a model whose measured speed stands behind an estimate of hours, the newest."""


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Whose tokens a mix counts: `label` is a model reference or a vocabulary's name, `base` the model it belongs to.

    `vocabulary` is the folder of a vocabulary of the workspace, else None.
    """

    label: str
    base: str
    folder: Path
    vocabulary: Path | None

    @property
    def count(self) -> Count:
        """Counts the tokens of texts, special tokens left out."""
        return counting(load_tokenizer(self.folder))


@dataclass(frozen=True, slots=True)
class Share:
    """One source of an estimated mix; `passes` is how many times it is gone through, `ends` that it runs out."""

    source: Source
    manifest: Manifest
    tokens: int
    share: float
    passes: float
    ends: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mix before it is made; tokens are estimated from a sample of each dataset.

    `seconds` is the training of one pass over it with the speed measured here, None where no run of that model was
    measured yet.
    """

    order: Order
    sources: list[Share]
    tokens: int
    seconds: float | None
    model: str
    warnings: list[dict[str, Any]]


@owner_only
def find_tokenizer(studio: Studio, model: str | None = None, vocabulary: str | None = None) -> Tokenizer:
    """The tokenizer that counts: of a model, of a vocabulary of the workspace, or else of the first model on disk.

    Raises:
        StudioError: ``mix.two_tokenizers``, ``mix.no_tokenizer``, ``vocabulary.unknown`` or ``model.*``.
    """
    if model and vocabulary:
        raise StudioError("mix.two_tokenizers")
    if vocabulary:
        folder = folder_of(studio, vocabulary)
        return Tokenizer(vocabulary, opened(folder).base, folder, folder)
    if not model:
        model = next(iter(models.fetched(studio)), None)
        if model is None:
            raise StudioError("mix.no_tokenizer")
    reference = str(parse_reference(model))
    return Tokenizer(reference, reference, locate_tokenizer(reference, studio.settings), None)


@owner_only
def make_order(
    studio: Studio,
    weights: Iterable[tuple[str, float | None]],
    tokenizer: Tokenizer,
    *,
    kind: Kind | None = None,
    budget: int | None = None,
    temperature: float = 1.0,
    caps: Iterable[tuple[str | None, Cap]] = (),
    direction: Direction = "both",
    replay: float | None = None,
    held_out: float = 0.0,
    seed: int = SEED,
) -> tuple[Order, list[dict[str, Any]]]:
    """An order that is known to make sense, and what its user should know.

    A mix of texts without an English dataset gets English replay: `replay` of its tokens (by default `REPLAY`) less
    half of the share of pairs, which are half English, from the English datasets of the workspace. One dataset with
    a held-out part and no budget is a split, not a mix: it gets English only where `replay` asks for it.

    Raises:
        StudioError: ``mix.*`` or ``data.no_such_dataset``.
    """
    capped = dict(caps)
    common = capped.pop(None, Cap())
    chosen = list(weights)
    names = [name for name, _ in chosen]
    if unknown := [name for name in capped if name not in names]:
        raise StudioError("mix.cap_of_no_source", name=unknown[0])
    sources = tuple(
        Source(dataset=name, weight=weight, direction=direction, cap=capped.get(name, common))
        for name, weight in chosen
    )
    manifests = [datasets.manifest(studio, name) for name in names]
    order = Order(
        sources=sources,
        kind=kind_of_mix({each.kind for each in manifests}, kind),
        budget=budget,
        temperature=temperature,
        replay=0.0 if replay is None else replay,
        held_out=held_out,
        seed=seed,
        tokenizer=tokenizer.label,
    ).checked()
    return _with_replay(studio, order, manifests, tokenizer, replay)


@owner_only
def estimate(studio: Studio, order: Order, tokenizer: Tokenizer, warnings: Sequence[dict[str, Any]] = ()) -> Estimate:
    """What `order` would come to, from manifests and one sample of each dataset, which is kept in memory.

    Raises:
        StudioError: ``data.*`` or ``model.*``.
    """
    manifests = [datasets.manifest(studio, source.dataset) for source in order.sources]
    sizes = [
        _size(studio, each, source, order, tokenizer) for each, source in zip(manifests, order.sources, strict=True)
    ]
    planned = plan(order, sizes)
    total = max(1.0, planned.total)
    sources = [
        Share(
            source, each, round(tokens), tokens / total, tokens / size.tokens if size.tokens else 0.0,
            ends=not planned.whole and tokens < 0.98 * wanted * total,
        )
        for source, each, tokens, size, wanted in zip(
            order.sources, manifests, planned.tokens, sizes, planned.shares, strict=True
        )
    ]  # fmt: skip
    told = list(warnings)
    if order.budget is not None and planned.total < 0.98 * order.budget:
        told.append({"code": "short", "tokens": round(planned.total), "budget": order.budget})
    speed = _speed(studio, tokenizer.base)
    seconds = None if speed is None else planned.total / speed
    return Estimate(order, sources, round(planned.total), seconds, tokenizer.base, told)


@owner_only
def start_mix(
    studio: Studio, order: Order, tokenizer: Tokenizer, name: str, warnings: Sequence[dict[str, Any]] = ()
) -> Job:
    """Queue the mix as the new dataset `name`; what is held out of it becomes ``NAME-held-out``.

    Raises:
        StudioError: ``data.bad_name`` or ``data.name_taken``; nothing is queued then.
    """
    wanted = [name, mixes.held_out_name(name)] if order.held_out else [name]
    for each in wanted:
        check_name(studio.settings.datasets, each)
    arguments = {
        "name": name,
        "order": order.model_dump(mode="json"),
        "tokenizer": str(tokenizer.folder),
        "vocabulary": None if tokenizer.vocabulary is None else str(tokenizer.vocabulary),
        "warnings": list(warnings),
    }
    job = studio.jobs.add(NewJob(KIND, name, arguments))
    studio.queue.advance()
    return studio.jobs.get(job)


def warning_text(locale: str, warning: dict[str, Any]) -> str:
    """The sentence of a warning; shares in it are said in percent."""
    details = {key: value for key, value in warning.items() if key not in ("code", "message")}
    for key in ("share", "wanted"):
        if key in details:
            details[key] = say(locale, "progress.percent", percent=number(locale, round(100 * details[key], 1)))
    return say(locale, f"mix.warning.{warning['code']}", **details)


def _with_replay(
    studio: Studio, order: Order, manifests: list[Manifest], tokenizer: Tokenizer, asked: float | None
) -> tuple[Order, list[dict[str, Any]]]:
    none = order.model_copy(update={"replay": 0.0})
    splits = len(manifests) == 1 and order.held_out > 0 and order.budget is None
    if order.kind != "text" or asked == 0 or (asked is None and splits):
        return none, []
    english = [each.name for each in manifests if each.kind == "text" and each.persian_share < ENGLISH]
    if english:
        return none, [] if asked is None else [{"code": "replay_not_needed", "names": ", ".join(english)}]
    sizes = [_size(studio, each, source, order, tokenizer) for each, source in _both(manifests, order)]
    planned: Plan = plan(none, sizes)
    paired = sum(share for share, each in zip(planned.shares, manifests, strict=True) if each.kind == "pair")
    share = (REPLAY if asked is None else asked) - paired / 2
    if share < 0.005:
        return none, [{"code": "pairs_are_english", "share": round(paired / 2, 3)}]
    found = _english(studio, {each.name for each in manifests})
    if not found:
        return none, [{"code": "no_english", "share": round(share, 3)}]
    common = order.sources[0].cap if order.sources[0].cap.unit == "passes" else Cap()
    added = tuple(Source(dataset=name, cap=common, replay=True) for name in found)
    told = {"code": "replay", "share": round(share, 3), "names": ", ".join(found)}
    return order.model_copy(update={"replay": round(share, 6), "sources": (*order.sources, *added)}), [told]


def _both(manifests: list[Manifest], order: Order) -> Iterable[tuple[Manifest, Source]]:
    return zip(manifests, order.sources, strict=True)


def _english(studio: Studio, chosen: set[str]) -> list[str]:
    """English texts of the workspace that are not chosen; of one and its cleaned child only the child."""
    found = [each for each in datasets.listing(studio) if each.kind == "text" and each.persian_share < ENGLISH]
    parents = {each.cleaned.parent for each in found if each.cleaned is not None}
    # What was mixed or held out is left alone: it may be what a model is measured on.
    return sorted(
        each.name for each in found if each.mixed is None and each.name not in parents and each.name not in chosen
    )


def _size(studio: Studio, manifest: Manifest, source: Source, order: Order, tokenizer: Tokenizer) -> Size:
    folder = studio.settings.datasets / manifest.name
    changed = (tokenizer.folder / "tokenizer.json").stat().st_mtime_ns
    density = _density(folder, manifest.sha256, order.kind, source.direction, tokenizer, changed)
    kept = 1.0 - order.held_out
    return Size(kept * density * manifest.characters, max(1, round(kept * manifest.rows)))


# A page asks at every move of a slider; a sample of a dataset takes up to a second.
@lru_cache(maxsize=256)
def _density(folder: Path, sha256: str, kind: Kind, direction: Direction, tokenizer: Tokenizer, changed: int) -> float:
    return tokens_per_character(folder, kind, direction, tokenizer.count)


def _speed(studio: Studio, base: str) -> float | None:
    """Tokens per second that the newest runs of a base reached here; None without any."""
    mine = (run.id for run in runs.listing(studio) if runs.recipe_of(studio, run.id).base == base)
    latest = (studio.metrics.latest(run) for run in mine)
    known = (row.tokens_per_second for row in latest if row is not None and row.tokens_per_second)
    speeds = list(islice(known, SPEEDS))
    return median(speeds) if speeds else None
