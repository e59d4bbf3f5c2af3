"""``evaluate``, ``compare`` and ``suites`` as a terminal runs them, and what they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, explain
from studio.jobs.process import current_process
from studio.jobs.store import Job
from studio.services import evaluations, own_suites
from studio.services.evaluations import Manner
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.live import command
from tests.tiny import build_tiny

TASK = {"metric", "value", "low", "high", "items", "chance", "language", "seconds", "categories", "also",
        "contaminated", "signature", "verified"}  # fmt: skip
QUESTIONS = "پرسش,گزینه۱,گزینه۲,گزینه۳,پاسخ,دسته\n" + "".join(
    f"کدام عدد {number} است؟,{number},{number + 1},{number + 2},{answer},شمارش\n"
    for number, answer in enumerate(("الف", "۱", "2", "6"), start=3)
)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


def test_two_models_answer_the_same_and_are_compared(tiny_model: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    other = f"local:{build_tiny(tmp_path / 'other', seed=2)}"
    given = ("--suite", "quick", "--task", "agreement_fa", "--task", "questions_fa", "--limit", "10")
    told = command(workspace, "evaluate", "--model", f"local:{tiny_model}", *given, timeout=180)
    assert (told["suite"], set(told["tasks"])) == ("quick", {"agreement_fa", "questions_fa"})
    assert told["seconds"] > 0
    for task in told["tasks"].values():
        assert set(task) == TASK
        assert task["low"] <= task["value"] <= task["high"]
    compared = command(workspace, "compare", f"local:{tiny_model}", other, *given, timeout=180)
    assert compared["models"] == [f"local:{tiny_model}", other]
    for name, task in compared["tasks"].items():
        first, second = (task["results"][model] for model in compared["models"])
        assert first == told["tasks"][name], "what is finished is not asked again"
        assert task["difference"] == pytest.approx(second["value"] - first["value"])
        assert task["low"] <= task["difference"] <= task["high"]
        assert task["shown"] == (not task["low"] <= 0 <= task["high"])
    kinds = [job.kind for job in open_studio(Settings(workspace)).jobs.listing()]
    assert kinds == ["evaluate"] * 3


def test_questions_of_ones_own_become_a_suite(tiny_model: Path, tmp_path: Path) -> None:
    workspace, file = tmp_path / "workspace", tmp_path / "mine.csv"
    file.write_text(QUESTIONS, encoding="utf8")
    assert command(workspace, "suites", "add", "mine", str(file)) == {
        "name": "mine", "kind": "choices", "items": 4, "language": "fa"
    }  # fmt: skip
    assert list(command(workspace, "suites", "list")["suites"])[-1] == "mine"
    told = command(workspace, "evaluate", "--model", f"local:{tiny_model}", "--suite", "mine", timeout=180)
    task = told["tasks"]["own_mine"]
    assert (task["items"], task["chance"], list(task["categories"])) == (4, pytest.approx(1 / 3), ["شمارش"])
    taken = command(workspace, "suites", "add", "mine", str(file), status=1)
    assert taken["error"] == "evaluation.name_taken"


def test_short_answers_are_judged_by_their_words(studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "short.jsonl"
    file.write_text('{"question": "پنج به‌علاوهٔ هفت؟", "answer": "۱۲"}\n', encoding="utf8")
    assert own_suites.add(studio, "short", file).kind == "short"
    from presets.suites.tasks.judging import short_answer  # as lm-eval imports it

    for said, right in (("12", 1.0), (" ۱۲. \nو بعد", 1.0), ("۱۳", 0.0), ("", 0.0)):
        assert short_answer({"answer": "۱۲"}, [said]) == {"answer": right}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a,b\n1,2\n", "evaluation.no_columns"),
        ("question,answer,a,b\nپرسش؟,z,یک,دو\n", "evaluation.bad_row"),
        ("question,answer,a,b\nپرسش؟,3,یک,دو\n", "evaluation.bad_row"),
        ("question,answer,a\nپرسش؟,a,یک\n", "evaluation.bad_row"),
        ("question,answer\nپرسش؟,\n", "evaluation.no_columns"),
        ("question,answer\n", "data.no_rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_and_nothing_is_made(
    studio: Studio, tmp_path: Path, text: str, code: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text, encoding="utf8")
    with pytest.raises(StudioError) as refused:
        own_suites.add(studio, "bad", file)
    assert refused.value.code == code
    assert evaluations.suites(studio)[-1] != "bad"
    for name in ("quick", "../bad", "Bad", ""):
        with pytest.raises(StudioError, match=r"evaluation\.(bad_name|name_taken)"):
            own_suites.add(studio, name, file)


@pytest.mark.parametrize(
    ("manner", "suite", "code"),
    [
        (Manner(limit=0), "quick", "evaluation.bad_limit"),
        (Manner(few_shot=33), "quick", "evaluation.bad_few_shot"),
        (Manner(only=("nothing",)), "quick", "evaluation.no_such_task"),
        (Manner(template=True), "quick", "evaluation.no_template"),
        (Manner(), "nothing", "evaluation.no_such_suite"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_it_is_queued(
    studio: Studio, tiny_model: Path, tmp_path: Path, manner: Manner, suite: str, code: str
) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(tiny_model, plain)
    (plain / "chat_template.jinja").unlink()
    with pytest.raises(StudioError) as refused:
        evaluations.start(studio, f"local:{plain}", suite, manner)
    assert refused.value.code == code
    assert studio.jobs.listing() == []


def test_a_missing_model_and_a_missing_file_are_named(studio: Studio, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"model\.no_such_folder"):
        evaluations.start(studio, "local:/nowhere", "quick")
    gone = {"farstail": tmp_path / "gone.csv"}
    with pytest.raises(StudioError, match=r"evaluation\.no_data"):
        evaluations.start(studio, f"local:{tiny_model}", "papers", data=gone)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_suite_that_lost_its_file_is_refused_before_it_is_queued(
    studio: Studio, tiny_model: Path, tmp_path: Path, locale: str
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(QUESTIONS, encoding="utf8")
    own_suites.add(studio, "mine", file)
    items = studio.settings.suites / "mine" / "items" / "own_mine.jsonl"
    items.unlink()
    with pytest.raises(StudioError, match=r"evaluation\.no_data") as refused:
        evaluations.start(studio, f"local:{tiny_model}", "mine")
    assert str(items) in explain(locale, refused.value)
    assert studio.jobs.listing() == []


def test_a_stopped_evaluation_goes_on_in_its_own_folder(studio: Studio, tiny_model: Path) -> None:
    def start() -> Job:
        return evaluations.start(studio, f"local:{tiny_model}", "quick", Manner(limit=2))

    studio.leases.take("chat", "Chat", current_process())  # so that nothing begins here
    first = start()
    assert start().id == first.id, "one that waits is not begun twice"
    studio.jobs.finish(first.id, "stopped")
    again = start()
    assert again.id != first.id
    assert again.arguments == first.arguments, "the folder with the finished tasks is the same"
    studio.jobs.finish(again.id, "stopped")


def test_the_same_order_is_the_same_evaluation(studio: Studio, tiny_model: Path) -> None:
    def name(limit: int) -> str:
        return evaluations.identity(
            evaluations.make_order(studio, f"local:{tiny_model}", "quick", Manner(limit=limit))
        )

    assert name(3) == name(3)
    assert name(3) != name(4)
