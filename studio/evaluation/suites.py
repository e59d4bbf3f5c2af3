"""Suites: named sets of tasks, ours in ``presets/suites`` and the user's own in the workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.errors import StudioError, invalid
from studio.settings import PRESETS, Settings

PRESET_SUITES = PRESETS / "suites"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

Metric = Literal["acc", "acc_norm", "exact_match", "answer", "rougeL", "bleu", "chrf"]
CORPUS_METRICS = ("bleu", "chrf")
"""Figures of all answers together; no answer has one of its own."""
SPEARMAN = "spearman"
"""A correlation, −1 to 1, that stands beside the accuracy of graded pairs."""


class SuiteTask(BaseModel):
    """One line of a suite.

    Attributes:
        task: Name of a task or a group: of ``tasks/NAME.yaml`` beside the suite, else of lm-eval's own.
        kind: ``harness`` for a task that lm-eval runs, ``retrieval`` for sentence pairs found by hidden states.
        language: Of the questions: it decides whether a change counts as gained Persian or kept English.
        metric: As lm-eval calls it; `CORPUS_METRICS` come from sacrebleu.
        also: Further figures of all answers, from the same answers and references.
        chance: What guessing reaches; None where guessing has no figure.
        category: Column of the items that groups them; a group of lm-eval's is grouped by its tasks.
        translate: Columns whose English the evaluated model writes first, as ``NAME_en``, where items do not bring it.
        source: Where the items come from, with their licence.
        verified: False where we could not check it against the published items or figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    kind: Literal["harness", "retrieval"] = "harness"
    language: Literal["fa", "en", "both"]
    metric: Metric
    also: tuple[Literal["bleu", "chrf"], ...] = ()
    chance: float | None = Field(default=None, ge=0, lt=1)
    category: str | None = None
    translate: tuple[str, ...] = ()
    source: str
    verified: bool = True


class Suite(BaseModel):
    """A named set of tasks; `title` is by language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: dict[Literal["fa", "en"], str]
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)

    def task(self, name: str) -> SuiteTask:
        """The task of that name.

        Raises:
            StudioError: ``evaluation.no_such_task``.
        """
        for task in self.tasks:
            if task.task == name:
                return task
        raise StudioError("evaluation.no_such_task", task=name, suite=self.name)


def names(settings: Settings) -> list[str]:
    """All suites: the studio's, the quickest first, then the user's own by name."""
    own = sorted(path.parent.name for path in settings.suites.glob("*/suite.yaml"))
    ours = sorted(path.stem for path in PRESET_SUITES.glob("*.yaml"))
    return [*sorted(ours, key=lambda name: name != "quick"), *own]


def home(name: str, settings: Settings) -> Path:
    """The folder whose ``tasks`` a suite uses: that of the presets, or the user's own.

    Raises:
        StudioError: ``evaluation.no_such_suite``.
    """
    if (PRESET_SUITES / f"{name}.yaml").is_file() and NAME.fullmatch(name):
        return PRESET_SUITES
    if NAME.fullmatch(name) and (settings.suites / name / "suite.yaml").is_file():
        return settings.suites / name
    raise StudioError("evaluation.no_such_suite", suite=name, suites=", ".join(names(settings)))


def load_suite(name: str, settings: Settings) -> Suite:
    """Read a suite.

    Raises:
        StudioError: ``evaluation.no_such_suite`` or ``evaluation.bad_suite``.
    """
    folder = home(name, settings)
    path = folder / (f"{name}.yaml" if folder == PRESET_SUITES else "suite.yaml")
    return read_suite(path)


def read_suite(path: Path) -> Suite:
    """Read a suite's file.

    Raises:
        StudioError: ``evaluation.bad_suite`` with what is wrong and where.
    """
    try:
        return Suite.model_validate(yaml.safe_load(path.read_text(encoding="utf8")))
    except ValidationError as error:
        raise invalid("evaluation.bad_suite", error) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudioError("evaluation.bad_suite", key=path.name, reason=str(error).splitlines()[0]) from error
