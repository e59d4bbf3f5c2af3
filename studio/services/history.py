"""The history of all runs: what each was made from and what it gave; titles and notes, deleting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from studio import workspace
from studio.auth import owner_only
from studio.errors import StudioError
from studio.i18n import visible
from studio.jobs.events import BASE_STAGE, HeldOutRow, MetricRow
from studio.jobs.run_notes import RunNote
from studio.recipes import NewVocabulary, Recipe
from studio.services import evaluation_folders, runs
from studio.services.runs import Found
from studio.services.studio import Studio

PAGE_ROWS = 25
LONGEST_TITLE = 80
LONGEST_NOTE = 4_000
MOST_COMPARED = 6
"""Curves in one plot: as many as there are colours that everybody can tell apart."""

Bits = Mapping[str, float]
"""Held-out bits per byte by language, ``fa`` and ``en``; what was not measured is absent."""

_LETTERS = str.maketrans({"ي": "ی", "ك": "ک", "\u200c": None})


@dataclass(frozen=True, slots=True)
class PastStage:
    """One stage: its last step, its own tokens without padding, the loss of that step, its newest held-out figures."""

    number: int
    name: str
    kind: str
    data: tuple[str, ...]
    steps: int
    tokens: int
    loss: float | None
    bits: Bits


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as the history shows it; `recipe` is None where it cannot be read. Times are Unix seconds.

    `before` are the figures of the untouched base, each of `stages` has its own.
    """

    id: str
    title: str
    note: str
    state: str | None
    created: float
    finished: float | None
    recipe: Recipe | None
    before: Bits
    stages: tuple[PastStage, ...]

    @property
    def name(self) -> str:
        """What to call it: its title, else its id."""
        return self.title or self.id

    @property
    def vocabulary(self) -> str | None:
        """The name of its vocabulary, or how many tokens were learned for it, as ``new:4000``."""
        chosen = None if self.recipe is None else self.recipe.vocabulary
        return f"new:{chosen.size}" if isinstance(chosen, NewVocabulary) else chosen

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def tokens(self) -> int:
        """Tokens of all stages, without padding."""
        return sum(stage.tokens for stage in self.stages)

    @property
    def loss(self) -> float | None:
        """The loss of the last step."""
        return next((stage.loss for stage in reversed(self.stages) if stage.steps), None)

    @property
    def after(self) -> Bits:
        """The newest figure of each language."""
        newest: dict[str, float] = {}
        for stage in self.stages:
            newest |= stage.bits
        return newest

    @property
    def english_change(self) -> float | None:
        """How much English bits per byte rose, as a share of the base's: 0.01 is one per cent lost."""
        return change(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the runs, newest first: page `number` (from 0) of `pages`, out of `total` that fit the words."""

    rows: tuple[PastRun, ...]
    number: int
    pages: int
    total: int


@owner_only
def page(studio: Studio, words: str = "", number: int = 0, rows: int = PAGE_ROWS) -> Page:
    """One page of the runs whose id, title or note holds every one of `words`; a page past the end is the last one.

    Only the runs of the page are read, in two questions to the tables; the others cost their name and time.
    """
    notes = studio.run_notes.all()
    found = [each for each in runs.listing(studio) if _fits(each, notes.get(each.id, RunNote()), words)]
    pages = max(1, -(-len(found) // rows))
    at = min(max(number, 0), pages - 1)
    return Page(tuple(_read(studio, found[at * rows : (at + 1) * rows], notes)), at, pages, len(found))


@owner_only
def everything(studio: Studio) -> list[PastRun]:
    """All runs, newest first."""
    return _read(studio, runs.listing(studio), studio.run_notes.all())


@owner_only
def get(studio: Studio, run: str | None) -> PastRun:
    """One run.

    Raises:
        StudioError: ``run.unknown``.
    """
    folder = runs.folder_of(studio, run)
    launch = studio.history.launches().get(folder.name)
    found = Found(folder.name, folder.stat().st_mtime if launch is None else launch.created, launch)
    return _read(studio, [found], {folder.name: studio.run_notes.get(folder.name)})[0]


@owner_only
def rename(studio: Studio, run: str | None, title: str) -> str:
    """Show `run` under another title; its id stays. Without a title it is shown by its id again.

    Returns:
        The title as it is kept: on one line, without what could turn the text around it about.

    Raises:
        StudioError: ``run.unknown`` or ``run.title_too_long``.
    """
    folder, kept = runs.folder_of(studio, run), visible(" ".join(title.split()))
    if len(kept) > LONGEST_TITLE:
        raise StudioError("run.title_too_long", length=len(kept), limit=LONGEST_TITLE)
    studio.run_notes.set_title(folder.name, kept)
    return kept


@owner_only
def set_note(studio: Studio, run: str | None, note: str) -> str:
    """Keep a note on `run` in place of an older one.

    Raises:
        StudioError: ``run.unknown`` or ``run.note_too_long``.
    """
    folder, kept = runs.folder_of(studio, run), visible(note.replace("\r\n", "\n")).strip()
    if len(kept) > LONGEST_NOTE:
        raise StudioError("run.note_too_long", length=len(kept), limit=LONGEST_NOTE)
    studio.run_notes.set_note(folder.name, kept)
    return kept


@owner_only
def check_delete(studio: Studio, run: str | None) -> None:
    """Whether `run` may be deleted.

    Raises:
        StudioError: ``run.unknown``, ``run.used_by_job``, ``run.used_by_share``, ``run.used_by_chat`` or
            ``run.used_by_branch``, which name what needs it.
    """
    name = runs.folder_of(studio, run).name
    found = [*runs.uses(studio, name), *(runs.Use("branch", branch) for branch in runs.branches(studio, name))]
    for kind in ("job", "share", "chat", "branch"):
        if names := [use.name for use in found if use.kind == kind]:
            raise StudioError(f"run.used_by_{kind}", run=name, names="، ".join(names))


@owner_only
def delete(studio: Studio, run: str | None) -> None:
    """Remove a run: its folder with all adapters and checkpoints, its figures and evaluations, its title and note.

    Raises:
        StudioError: As `check_delete`; ``workspace.not_writable``. Nothing has changed then.
    """
    check_delete(studio, run)
    folder = runs.folder_of(studio, run)
    evaluated = evaluation_folders.of_run(studio, folder.name)
    workspace.remove(folder)
    studio.history.forget(folder.name)
    evaluation_folders.remove(studio, evaluated)


def _fits(run: Found, note: RunNote, words: str) -> bool:
    text = _folded(f"{run.id} {note.title} {note.note}")
    return all(word in text for word in _folded(words).split())


def _folded(text: str) -> str:
    return text.casefold().translate(_LETTERS)


def _read(studio: Studio, found: Sequence[Found], notes: Mapping[str, RunNote]) -> list[PastRun]:
    recipes = {each.id: _recipe(studio, each.id) for each in found}
    steps = studio.history.last_steps({run: len(recipe.stages) for run, recipe in recipes.items() if recipe})
    bits = studio.history.last_held_out([each.id for each in found])
    return [
        _past(each, notes.get(each.id, RunNote()), recipes[each.id], steps.get(each.id, []), bits.get(each.id, []))
        for each in found
    ]


def _recipe(studio: Studio, run: str) -> Recipe | None:
    try:
        return runs.recipe_of(studio, run)
    except StudioError:  # edited by hand, or deleted meanwhile: the other runs are shown, and this one without it
        return None


def _past(
    found: Found, note: RunNote, recipe: Recipe | None, steps: Sequence[MetricRow], held_out: Sequence[HeldOutRow]
) -> PastRun:
    bits: dict[int, dict[str, float]] = {}
    for measured in held_out:
        bits.setdefault(measured.stage, {})[measured.language] = measured.bits_per_byte
    last, stages, before = {row.stage: row for row in steps}, [], 0
    for number, stage in enumerate([] if recipe is None else recipe.stages):
        row, data = last.get(number), tuple(source.dataset for source in stage.data)
        tokens = before if row is None else row.tokens  # rows count the whole run
        own = (0, 0, None) if row is None else (row.step, tokens - before, row.loss)
        stages.append(PastStage(number, stage.name, stage.kind, data, *own, bits.get(number, {})))
        before = tokens
    state, finished = (None, None) if found.launch is None else (found.launch.state, found.launch.finished)
    return PastRun(
        found.id, note.title, note.note, state, found.created, finished, recipe, bits.get(BASE_STAGE, {}),
        tuple(stages),
    )  # fmt: skip


def change(before: Bits, after: Bits) -> float | None:
    """How much English bits per byte rose from `before` to `after`, as a share; None where one was not measured."""
    return after["en"] / before["en"] - 1 if "en" in before and "en" in after else None


def moment(seconds: float | None) -> str | None:
    """Unix seconds as UTC in ISO 8601."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def as_json(run: PastRun) -> dict[str, Any]:
    """A run as ``runs list`` and ``runs show`` answer it on the command line."""
    return {
        "run": run.id,
        "title": run.title,
        "note": run.note,
        "state": run.state,
        "created": moment(run.created),
        "finished": moment(run.finished),
        "recipe": None if run.recipe is None else run.recipe.name,
        "base": None if run.recipe is None else run.recipe.base,
        "vocabulary": run.vocabulary,
        "datasets": [] if run.recipe is None else run.recipe.datasets,
        "steps": run.steps,
        "tokens": run.tokens,
        "loss": run.loss,
        "bits_per_byte_before": dict(run.before),
        "bits_per_byte": dict(run.after),
        "english_change": run.english_change,
        "stages": [asdict(stage) for stage in run.stages],
    }
