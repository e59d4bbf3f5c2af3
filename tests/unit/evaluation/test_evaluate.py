"""Evaluations on a tiny random model: lm-eval's own figures, chance, what a stop keeps, and what was learnt before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from studio.data.stored import import_files
from studio.errors import StudioError
from studio.evaluation import evaluate as module
from studio.evaluation import results
from studio.evaluation.evaluate import evaluate
from studio.evaluation.results import Evaluation, Order
from studio.models.files import ModelFiles
from studio.settings import Settings

LIMIT = 12
Run = Callable[..., Evaluation]


def silent(share: float, note: str) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def run(settings: Settings, tiny_model: Path, tmp_path: Path) -> Run:
    """Evaluates the tiny model in a folder of this test."""
    reference = f"local:{tiny_model}"
    files = ModelFiles(reference, reference, tiny_model, tiny_model)

    def run_(
        only: tuple[str, ...] = (),
        stopping: Callable[[], bool] = lambda: False,
        trained_on: list[Path] | None = None,
        **changes: object,
    ) -> Evaluation:
        order = replace(Order(reference, "", "quick", "", limit=LIMIT, only=only), **changes)  # type: ignore[arg-type]
        return evaluate(order, files, tmp_path / "evaluation", settings, trained_on=trained_on, progress=silent,
                        stopping=stopping)  # fmt: skip

    return run_


def test_figures_are_those_of_lm_evals_command_line(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    tasks = ("story_endings_en", "questions_fa", "agreement_fa")
    found = run(tasks)
    out = tmp_path / "out"
    arguments = ["--model", "hf", "--model_args", f"pretrained={tiny_model},dtype=float32,prefix_token_id=0",
                 "--tasks", ",".join(tasks), "--include_path", str(tmp_path / "evaluation" / "tasks"), "--limit",
                 str(LIMIT), "--batch_size", "4", "--device", "cpu", "--output_path", str(out)]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "lm_eval", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(next(out.rglob("results_*.json")).read_text(encoding="utf8"))["results"]
    for task in tasks:
        assert found.tasks[task].figure.value == told[task]["acc,none"]
        assert found.tasks[task].figure.items == LIMIT


def test_random_weights_score_chance_within_the_interval(run: Run) -> None:
    found = run(("questions_fa", "story_pairs"), limit=None)
    questions = found.tasks["questions_fa"]
    assert questions.chance == 0.25
    assert questions.figure.low <= 0.25 <= questions.figure.high
    assert set(questions.categories) == {"knowledge", "literature", "maths"}
    assert sum(figure.items for figure in questions.categories.values()) == questions.figure.items == 60
    pairs = found.tasks["story_pairs"]
    assert pairs.chance == 1 / 30
    assert pairs.figure.low <= 0.2, "a random model knows no translation"


def test_a_stop_keeps_finished_tasks_and_they_are_not_asked_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "evaluation"

    def first_is_finished() -> bool:
        return (folder / "agreement_fa.jsonl").exists()

    with pytest.raises(StudioError, match=r"job\.stopped"):
        run(("agreement_fa", "questions_fa"), first_is_finished)
    kept = results.read(folder)
    assert kept is not None
    assert (list(kept.tasks), kept.finished) == (["agreement_fa"], False)
    asked: list[str] = []
    write = results.write_items
    monkeypatch.setattr(module.results, "write_items", lambda *given: (asked.append(given[1]), write(*given)))
    found = run(("agreement_fa", "questions_fa"))
    assert asked == ["questions_fa"]
    assert found.finished
    assert found.tasks["agreement_fa"] == kept.tasks["agreement_fa"]


def test_a_finished_evaluation_costs_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(("agreement_fa",))
    monkeypatch.setattr(module, "_load", lambda files: pytest.fail("the model was loaded again"))
    assert run(("agreement_fa",)) == found


def test_questions_that_were_trained_on_are_counted(run: Run, tmp_path: Path) -> None:
    lines = (module.home("quick", Settings(tmp_path)) / "items" / "questions_fa.jsonl").read_text(encoding="utf8")
    learnt = [json.loads(line)["question"] for line in lines.splitlines()[:LIMIT]][:5]
    file = tmp_path / "learnt.txt"
    file.write_text("\n".join([*learnt, "چیز دیگری که در آزمون نیست."]), encoding="utf8")
    import_files([file], tmp_path / "datasets", "learnt", source="test", progress=silent, stopping=lambda: False)
    found = run(("questions_fa",), trained_on=[tmp_path / "datasets" / "learnt"]).tasks["questions_fa"]
    long_enough = [question for question in learnt if len(question.replace("\u200c", " ").split()) >= 5]
    assert found.contaminated is not None
    assert 1 <= len(long_enough) <= found.contaminated <= 5


def test_nobody_knows_what_a_base_was_trained_on(run: Run, tmp_path: Path) -> None:
    assert run(("agreement_fa",)).tasks["agreement_fa"].contaminated is None
    gone = run(("agreement_fa",), trained_on=[tmp_path / "gone"])
    assert gone.tasks["agreement_fa"].contaminated is None


def test_answers_are_kept_with_their_questions(run: Run, tmp_path: Path) -> None:
    run(("questions_fa", "agreement_fa"))
    items = results.read_items(tmp_path / "evaluation", "questions_fa")
    source = [
        json.loads(line)
        for line in (tmp_path / "evaluation" / "items" / "questions_fa.jsonl").read_text(encoding="utf8").splitlines()
    ]
    for item, asked in zip(items, source, strict=False):
        assert item.text == asked["question"]
        assert item.wanted == asked["choices"][asked["answer"]]
        assert item.said in asked["choices"]
        assert item.value == float(item.said == item.wanted)


def test_a_task_of_a_file_of_ones_own(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    rows = [{"question": f"پرسش {n}؟", "candidates": ["یک", "دو", "سه", "چهار"], "answer": answer, "category": "x"}
            for n, answer in enumerate(("1", "۴", "2"))]  # fmt: skip
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
    found = run(
        ("parsinlu_multiple_choice",), suite="papers", data={"parsinlu_multiple_choice": str(file)}, limit=None
    )
    assert found.tasks["parsinlu_multiple_choice"].figure.items == 3
    items = results.read_items(tmp_path / "evaluation", "parsinlu_multiple_choice")
    assert [item.wanted for item in items] == ["یک", "چهار", "دو"], "a Persian digit is a number, too"


def test_questions_are_put_into_english_by_the_model_unless_the_file_brings_it(run: Run, tmp_path: Path) -> None:
    task = "parsinlu_multiple_choice_en_input"
    rows = [
        {"question": "پایتخت ایران؟", "candidates": ["تهران", "قم"], "answer": "1", "category": "x"},
        {"question": "کدام؟", "candidates": ["یک", "دو"], "answer": "2", "category": "x",
         "question_en": "Which?", "candidates_en": ["one", "two"]},
    ]  # fmt: skip
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
    found = run((task,), suite="papers", data={task: str(file)}, limit=None)
    assert found.tasks[task].figure.items == 2
    stored = (tmp_path / "evaluation" / "items" / f"{task}.jsonl").read_text(encoding="utf8").splitlines()
    first, second = map(json.loads, stored)
    assert (second["question_en"], second["candidates_en"]) == ("Which?", ["one", "two"])
    assert isinstance(first["question_en"], str)
    assert first["question_en"]
    assert len(first["candidates_en"]) == 2
    items = results.read_items(tmp_path / "evaluation", task)
    assert items[1].wanted == "two"


def test_items_that_cannot_be_had_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    with pytest.raises(StudioError, match=r"evaluation\.no_data") as refused:
        run(("farstail",), suite="papers")
    assert refused.value.details["task"] == "farstail"


def test_solved_examples_and_the_chat_template_stand_before_a_question(run: Run) -> None:
    assert run(("questions_fa",), template=True, few_shot=2).tasks["questions_fa"].figure.items == LIMIT
