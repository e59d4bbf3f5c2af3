"""``evaluate``, ``compare`` and ``suites``: questions put to models, and which of them does better."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from studio.commands.speech import Detach, Json, Language, Model, Speech, Workspace, speaking
from studio.evaluation.results import Evaluation, TaskResult
from studio.i18n import number, say
from studio.services import comparisons, evaluations, own_suites
from studio.services.evaluations import Manner

SuiteName = Annotated[str, typer.Option("--suite", help="A name of suites list.")]
Limit = Annotated[int | None, typer.Option("--limit", help="At most so many items of each task.")]
FewShot = Annotated[int | None, typer.Option("--few-shot", help="Solved examples before each question.")]
Template = Annotated[bool, typer.Option("--template", help="Put questions through the model's chat template.")]
Only = Annotated[list[str] | None, typer.Option("--task", metavar="NAME", help="Only this task; repeat it.")]
Data = Annotated[
    list[str] | None, typer.Option("--data", metavar="TASK=FILE", help="Items of a task from a file; repeat it.")
]

app = typer.Typer(no_args_is_help=True, help="Suites: the studio's and your own.")


@app.command("list")
def list_(json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """List the suites and their tasks."""
    with speaking(json, workspace, language) as speech:
        found = [evaluations.suite(speech.studio, name) for name in evaluations.suites(speech.studio)]
        told = {suite.name: [task.model_dump() for task in suite.tasks] for suite in found}
        lines = [f"{suite.name}: {', '.join(task.task for task in suite.tasks)}" for suite in found]
        speech.tell({"suites": told}, *lines)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What the suite shall be called.")],
    file: Annotated[
        Path, typer.Argument(help="CSV, jsonl, …: question, answer, and for multiple choice the choices.")
    ],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Make a suite of your own questions."""
    with speaking(json, workspace, language) as speech:
        made = own_suites.add(speech.studio, name, file.expanduser())
        speech.tell(asdict(made))


def evaluate(
    model: Model,
    suite: SuiteName = "quick",
    limit: Limit = None,
    few_shot: FewShot = None,
    template: Template = False,
    only: Only = None,
    data: Data = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Put the questions of a suite to a model; finished tasks are kept when it is stopped."""
    with speaking(json, workspace, language) as speech:
        found = _evaluated(
            speech, model, suite, Manner(limit, few_shot, template, tuple(only or ())), _files(data), detach=detach
        )
        lines = [_line(speech.locale, name, result) for name, result in found.tasks.items()]
        speech.tell(evaluations.as_json(found), *lines)


def compare(
    models: Annotated[
        list[str], typer.Argument(metavar="REF REF...", help="The first is what the others are held to.")
    ],
    suite: SuiteName = "quick",
    limit: Limit = None,
    few_shot: FewShot = None,
    template: Template = False,
    only: Only = None,
    data: Data = None,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Evaluate several models and tell how each differs from the first, with the interval of the difference."""
    if len(models) < 2:
        raise typer.BadParameter("give at least two models")
    with speaking(json, workspace, language) as speech:
        manner, files = Manner(limit, few_shot, template, tuple(only or ())), _files(data)
        found = [_evaluated(speech, model, suite, manner, files) for model in models]
        compared = comparisons.compare(speech.studio, found)
        lines = [
            f"{model}  {_line(speech.locale, one.task, told)}{_said(speech.locale, one, model)}"
            for one in compared
            for model, told in one.results.items()
        ]
        tasks = {one.task: comparisons.compared_json(one) for one in compared}
        speech.tell({"suite": suite, "models": models, "tasks": tasks}, *lines)


def _evaluated(
    speech: Speech, model: str, suite: str, manner: Manner, files: dict[str, Path], *, detach: bool = False
) -> Evaluation:
    job = evaluations.start(speech.studio, model, suite, manner, data=files)
    told = speech.follow(job, detach=detach)
    return evaluations.get(speech.studio, told["id"])


def _files(data: list[str] | None) -> dict[str, Path]:
    pairs = [given.partition("=") for given in data or []]
    if any(not sign or not file for _, sign, file in pairs):
        raise typer.BadParameter("give --data as TASK=FILE")
    return {task: Path(file) for task, _, file in pairs}


def _line(locale: str, name: str, result: TaskResult) -> str:
    figure = result.figure
    value, low, high = (number(locale, one, 3) for one in (figure.value, figure.low, figure.high))
    chance = "—" if result.chance is None else number(locale, result.chance, 3)
    return say(
        locale, "evaluation.line", task=name, metric=result.metric, value=value, low=low, high=high,
        items=figure.items, chance=chance,
    )  # fmt: skip


def _said(locale: str, one: comparisons.Compared, model: str) -> str:
    found = one.differences.get(model)
    if found is None:
        return ""
    low, high = number(locale, found.low, 3), number(locale, found.high, 3)
    key = "evaluation.differs" if found.shown else "evaluation.no_difference"
    return "  " + say(locale, key, difference=number(locale, found.difference, 3), low=low, high=high)
