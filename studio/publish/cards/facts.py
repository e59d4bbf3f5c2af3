"""All that a model card says: facts of one run, each of them left out where it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from studio.evaluation.results import Figure
from studio.evaluation.scores import Difference
from studio.evaluation.tallies import Tally
from studio.publish.record import Kind
from studio.recipes import Recipe

WORLD_INTENSITY = 475.0
"""Grams of CO₂ per kWh of electricity, world average: IEA, Global Energy & CO₂ Status Report 2019
(https://www.iea.org/reports/global-energy-co2-status-report-2019/emissions)."""
JOULES_PER_KWH = 3.6e6

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """Where the base came from.

    `reference` is shown as it is, so it holds no path of anybody's machine. `repository` is its name on the Hub,
    `quantised` the format that its weights were dequantised from.
    """

    reference: str
    repository: str | None = None
    licence: str | None = None
    quantised: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What one rule of a cleaning took: `units` are what it drops as a whole, `share` is of the bytes that came in."""

    rule: str
    units: int
    share: float


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The books of a cleaning; `parent` is the dataset before it, and rules that took nothing are left out."""

    parent: str
    rows_in: int
    rows_out: int
    taken: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class DataFacts:
    """One dataset of the run; what is not known any more is None. `repositories` are those of the Hub behind it."""

    name: str
    rows: int | None = None
    licence: str | None = None
    source: str | None = None
    characters: int | None = None
    cleaning: Cleaning | None = None
    repositories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What a stage took and gave; `bits` are held-out bits per byte after it, by language. Padding is no token."""

    name: str
    kind: Literal["align", "pretrain", "instruct"]
    steps: int
    tokens: int
    characters: int
    seconds: float | None
    loss: float | None
    bits: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class VocabularyFacts:
    """New tokens of the run, and tokens to a word of the corpus they were learnt from, before and after."""

    added: int
    whole: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One task of an evaluation, the base's figure beside it where the base answered the same questions.

    `contaminated` counts questions that stand in the training texts; None if nobody looked. `source` says where the
    questions come from, None where the suite is gone.
    """

    task: str
    metric: str
    language: str
    figure: Figure
    chance: float | None = None
    source: str | None = None
    base: Figure | None = None
    difference: Difference | None = None
    contaminated: int | None = None


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """One suite that the model has answered; `version` is lm-eval's."""

    suite: str
    tasks: tuple[TaskFacts, ...]
    version: str | None = None


@dataclass(frozen=True, slots=True)
class EnergyFacts:
    """Joules of the whole run so far, how they were counted, and the CO₂ of a kWh where it ran.

    `own` says that `intensity`, in grams, is the figure of whoever ran it and not the world average.
    """

    joules: float
    source: str | None = None
    intensity: float = WORLD_INTENSITY
    own: bool = False

    @property
    def kwh(self) -> float:
        return self.joules / JOULES_PER_KWH

    @property
    def grams(self) -> float:
        """CO₂, an estimate."""
        return self.kwh * self.intensity


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """What the pictures show: points of step and value, by name, steps counted over all stages, and where these begin.

    `base` are the untouched base's held-out bits per byte, by language.
    """

    lines: Mapping[str, Points]
    starts: tuple[tuple[str, int], ...] = ()
    base: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the checks of a merge measured: bits per byte before and after on `bytes` of text, and tensors compared.

    `limit` is the share by which the two may differ.
    """

    before: float
    after: float
    bytes: int
    tensors: int
    adapted: int
    limit: float


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence of the locales with its details."""

    key: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snippet:
    """Something to run: the key of its heading, the language of its code, and its text."""

    title: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class CardFacts:
    """All that a card says.

    Attributes:
        name: Of the export's folder.
        dtype: Of the weights, such as ``bfloat16``; what a GGUF file is quantised to for one of these.
        template: Whether the model has a chat template.
        base: Its base.
        recipe: Of the run, None if unknown.
        data: Datasets of the run.
        figures: What the merge's checks measured; None for what is no merge.
        weights: File names with their SHA-256.
        versions: Libraries that trained it, with their versions.
        kind: What the export is.
        snippets: How to use it; by default what `studio.publish.cards.snippets` has for the kind.
        checks: Further sentences about what was proved of the export.
        siblings: Names of the same run's other exports; linked where they are repositories, ``owner/name``.
        stages: What each stage took and gave, as far as the exported weights had come.
        base_bits: The untouched base's held-out bits per byte, by language.
        vocabulary: The run's own vocabulary, if it has one.
        evaluations: Of these very weights.
        votes: Blind votes about this model.
        energy: Of the run, None where nothing counted it.
        seconds: Of the steps, without loading and answers.
        device: What it was trained on.
        hashes: Of the base's weights, the tokenizer and the vocabulary, by name.
        curves: For the pictures.
        licence_file: The file of the export that holds the base's terms.
    """

    name: str
    dtype: str
    template: bool
    base: BaseFacts
    recipe: Recipe | None
    data: tuple[DataFacts, ...]
    figures: Figures | None = None
    weights: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    kind: Kind = "merged"
    snippets: tuple[Snippet, ...] = ()
    checks: tuple[Told, ...] = ()
    siblings: Mapping[Kind, str] = field(default_factory=dict)
    stages: tuple[StageFacts, ...] = ()
    base_bits: Mapping[str, float] = field(default_factory=dict)
    vocabulary: VocabularyFacts | None = None
    evaluations: tuple[EvaluationFacts, ...] = ()
    votes: tuple[Tally, ...] = ()
    energy: EnergyFacts | None = None
    seconds: float | None = None
    device: str | None = None
    hashes: tuple[tuple[str, str], ...] = ()
    curves: CurveFacts | None = None
    licence_file: str | None = None

    @property
    def english_change(self) -> float | None:
        """How much English bits per byte rose over the run, as a share; None without a measurement."""
        known = [stage.bits["en"] for stage in self.stages if "en" in stage.bits]
        return known[-1] / self.base_bits["en"] - 1 if known and "en" in self.base_bits else None
