"""All runs at a glance: figures, titles, notes, copies, a table for spreadsheets, and deleting what nothing needs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studio.__main__ import app
from studio.chat.client import ChatClient, ChatStatus
from studio.errors import StudioError
from studio.jobs.database import Database
from studio.jobs.events import Alarm
from studio.jobs.migrations import MIGRATIONS
from studio.jobs.run_notes import RunNote
from studio.jobs.store import NewJob
from studio.recipes import load_recipe, override, preset_recipe
from studio.services import branching, copies, history, history_csv, runs, training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.past import add_job, make_run, measure

PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


def refused(code: str) -> pytest.RaisesExc[StudioError]:
    return pytest.raises(StudioError, match=rf"^run\.{code}\(")


def test_titles_and_notes_are_kept_in_a_table_of_their_own(studio: Studio) -> None:
    assert MIGRATIONS[5].__name__ == "m006_run_notes"
    studio.run_notes.set_title("a-1", "نخستین")
    studio.run_notes.set_note("a-1", "خوب بود")
    studio.run_notes.set_title("a-1", "دومین")
    assert open_studio(studio.settings).run_notes.all() == {"a-1": RunNote("دومین", "خوب بود")}
    assert studio.run_notes.get("b-1") == RunNote()


def test_a_run_tells_what_it_was_made_from_and_what_it_gave(studio: Studio) -> None:
    recipe = preset_recipe("recommended")
    make_run(studio, "recommended-1", recipe, steps=(4, 6), state="stopped", finished=1)
    measure(studio, "recommended-1", -1, 0, 2.0, 1.5)
    measure(studio, "recommended-1", 0, 0, 2.4, 1.5)
    measure(studio, "recommended-1", 0, 4, 1.9, 1.52)
    measure(studio, "recommended-1", 1, 6, 1.6, 1.53)
    run = history.get(studio, "recommended-1")
    assert (run.state, run.steps, run.tokens, run.loss) == ("stopped", 10, 100, pytest.approx(2 + 1 / 6))
    assert run.recipe == recipe
    assert (run.before, run.after) == ({"fa": 2.0, "en": 1.5}, {"fa": 1.6, "en": 1.53})
    assert run.english_change == pytest.approx(0.02)
    assert [(stage.steps, stage.tokens, stage.bits.get("fa")) for stage in run.stages] == [
        (4, 40, 1.9), (6, 60, 1.6), (0, 0, None)
    ]  # fmt: skip
    assert run.vocabulary == f"new:{recipe.vocabulary.size}"  # type: ignore[union-attr]
    assert (run.created, run.finished) == (1_800_000_000.0, 1_800_000_060.0)


def test_pages_are_newest_first_and_found_by_id_title_or_note(studio: Studio) -> None:
    for number in range(7):
        make_run(studio, f"first_steps-{number}", created=1_800_000_000.0 + number, steps=())
    make_run(studio, "other-1", created=1_700_000_000.0, steps=())
    first = history.page(studio, rows=3)
    assert ([run.id for run in first.rows], first.pages, first.total) == (
        ["first_steps-6", "first_steps-5", "first_steps-4"], 3, 8,
    )  # fmt: skip
    last = history.page(studio, number=99, rows=3)
    assert (last.number, [run.id for run in last.rows]) == (2, ["first_steps-0", "other-1"])
    history.rename(studio, "first_steps-3", "كوشش می‌شود")
    history.set_note(studio, "first_steps-5", "Better DATA")
    for words, expected in (("کوشش میشود", "first_steps-3"), ("data first", "first_steps-5"), ("OTHER", "other-1")):
        assert [run.id for run in history.page(studio, words).rows] == [expected], words
    assert history.page(studio, "nothing").rows == ()


def test_two_thousand_runs_cost_no_more_questions_than_one(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page asks the tables four times, and reads the recipes of its own rows once only."""
    asked, read = [], []
    reading, load = Database.reading, Path.read_text
    monkeypatch.setattr(Database, "reading", lambda self: (asked.append(1), reading(self))[1])
    monkeypatch.setattr(Path, "read_text", lambda self, *a, **k: (read.append(self.name), load(self, *a, **k))[1])

    def cost() -> tuple[int, int]:
        asked.clear()
        read.clear()
        history.page(studio, rows=5)
        return len(asked), len(read)

    for number in range(6):
        make_run(studio, f"a-{number}", created=1_800_000_000.0 - number, steps=(2,))
    assert cost() == (4, 5)
    for number in range(30):
        make_run(studio, f"b-{number}", created=1_700_000_000.0 - number, steps=(2,))
    assert cost() == (4, 0), "more runs, the same questions; what was read is remembered"


def test_a_recipe_that_was_edited_is_read_again_and_a_broken_one_hides_nothing(studio: Studio) -> None:
    folder = make_run(studio, "a-1")
    make_run(studio, "b-1")
    (folder / "environment.json").unlink()
    assert history.get(studio, "a-1").recipe == preset_recipe("first_steps")
    changed = (folder / "recipe.yaml").read_text().replace("seed: 3407", "seed: 11")
    (folder / "recipe.yaml").write_text(changed)
    seen = history.get(studio, "a-1").recipe
    assert seen is not None
    assert seen.seed == 11
    (folder / "recipe.yaml").write_text("[nonsense")
    found = {run.id: run.recipe for run in history.everything(studio)}
    assert found["a-1"] is None
    assert found["b-1"] is not None


def test_names_that_lead_elsewhere_are_no_runs(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "recipe.yaml").write_text("name: x")
    for name in ("", None, "..", "../../elsewhere", ".", "none-1", str(tmp_path / "elsewhere")):
        with refused("unknown"):
            history.delete(studio, name)
        with refused("unknown"):
            history.rename(studio, name, "x")
    assert (tmp_path / "elsewhere" / "recipe.yaml").exists()


def test_titles_are_one_short_line_and_notes_are_bounded(studio: Studio) -> None:
    make_run(studio, "a-1")
    assert history.rename(studio, "a-1", f"  {PAYLOAD}\n two \u202e") == f"{PAYLOAD} two \ufffd"
    assert history.set_note(studio, "a-1", " one\r\ntwo ") == "one\ntwo"
    with refused("title_too_long"):
        history.rename(studio, "a-1", "x" * (history.LONGEST_TITLE + 1))
    with refused("note_too_long"):
        history.set_note(studio, "a-1", "x" * (history.LONGEST_NOTE + 1))
    assert history.get(studio, "a-1").name == f"{PAYLOAD} two \ufffd"
    assert history.rename(studio, "a-1", "") == ""
    assert history.get(studio, "a-1").name == "a-1"


def test_deleting_takes_folder_and_rows_and_leaves_the_others(studio: Studio) -> None:
    folders = [make_run(studio, run) for run in ("a-1", "b-1")]
    for run in ("a-1", "b-1"):
        measure(studio, run, 0, 40, 1.5, 1.4)
        studio.alarms.add(run, Alarm(0, 7, "zero_loss", 0.0))
        history.rename(studio, run, "title")
    history.delete(studio, "a-1")
    assert [folder.exists() for folder in folders] == [False, True]
    assert list(studio.settings.runs.iterdir()) == [folders[1]], "nothing half deleted stays"
    left = [
        (studio.metrics.last_id(run) > 0, bool(studio.held_out.rows(run)), bool(studio.alarms.rows(run)),
         studio.run_notes.get(run).title)
        for run in ("a-1", "b-1")
    ]  # fmt: skip
    assert left == [(False, False, False, ""), (True, True, True, "title")]
    with refused("unknown"):
        history.get(studio, "a-1")


@pytest.mark.parametrize("state", ["queued", "waiting", "running", "stopping"])
def test_a_run_whose_job_is_active_stays(state: str, studio: Studio) -> None:
    folder = make_run(studio, "a-1", state=state)  # type: ignore[arg-type]
    with refused("used_by_job"):
        history.delete(studio, "a-1")
    assert folder.exists()


def test_a_run_that_another_job_reads_stays(studio: Studio) -> None:
    folder = make_run(studio, "a-1")
    make_run(studio, "a-10")
    given = [
        NewJob("merge", "out", {"run": "run:a-1/chat@20", "out": "/x"}),
        NewJob("bits", "bits", {"model": "run:a-1"}),
        NewJob("rows", "rows", {"vocabulary": str(folder / "vocabulary"), "corpus": ["a"]}),
        NewJob("evaluate", "x", {"models": [{"reference": "run:a-1/chat"}]}),
    ]
    for new in given:
        job = studio.jobs.add(new)
        with refused("used_by_job") as caught:
            history.delete(studio, "a-1")
        assert caught.value.details["names"] == new.title
        history.check_delete(studio, "a-10")
        studio.jobs.finish(job, "done")
    history.delete(studio, "a-1")


def test_what_is_shared_held_by_the_chat_or_branched_from_stays(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(studio, "a-1")
    studio.shares.put("model", ["run:a-1/chat"])
    with refused("used_by_share"):
        history.delete(studio, "a-1")
    studio.shares.put("model", [])
    studio.shares.put("report", ["a-1"])
    with refused("used_by_share"):
        history.delete(studio, "a-1")
    studio.shares.put("report", ["a-12"])
    held = ChatStatus(1, "base", ("run:a-1",), "cpu", 0, 0, "none", 0, 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(ChatClient, "status", lambda self: held)
        with refused("used_by_chat"):
            history.delete(studio, "a-1")
    make_run(studio, "b-1", origin="a-1")
    with refused("used_by_branch") as caught:
        history.delete(studio, "a-1")
    assert caught.value.details["names"] == "b-1"
    history.delete(studio, "b-1")
    history.delete(studio, "a-1")


def test_a_branch_is_known_by_what_branching_writes(studio: Studio) -> None:
    recipe = preset_recipe("recommended")
    folder = make_run(studio, "recommended-1", recipe, steps=(2,))
    kept = json.loads((folder / "environment.json").read_text()) | {"datasets": {}}
    (folder / "environment.json").write_text(json.dumps(kept))
    branch = branching.plan(studio, override(recipe, ["stages.2.rates.lora=1e-5"]), "recommended-1")
    make_run(studio, "recommended-2", recipe, steps=())
    branching.fill(studio, branch, recipe, "recommended-2")
    assert runs.branches(studio, "recommended-1") == ["recommended-2"]
    assert runs.branches(studio, "recommended-2") == []


def test_a_copy_is_the_recipe_itself(studio: Studio, tmp_path: Path) -> None:
    recipe = override(preset_recipe("first_steps"), ["stages.0.budget.steps=7"])
    make_run(studio, "a-1", recipe)
    out = copies.clone(studio, "a-1", tmp_path / "copy.yaml")
    assert training.read_recipe(str(out)) == recipe
    with pytest.raises(StudioError, match=r"file\.exists"):
        copies.clone(studio, "a-1", out)
    held = copies.draft(studio, "a-1")
    assert copies.draft(studio, "a-1") == held
    history.delete(studio, "a-1")
    assert load_recipe(held) == recipe, "a form that holds it outlives the run"


def test_no_cell_of_the_table_is_a_formula(studio: Studio) -> None:
    make_run(studio, "a-1", preset_recipe("recommended"), steps=(2, 3))
    measure(studio, "a-1", -1, 0, 2.0, 1.5)
    measure(studio, "a-1", 1, 3, 1.5, 1.35)
    make_run(studio, "b-1", state=None, steps=())
    for text in ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)"):
        history.rename(studio, "a-1", text)
        history.set_note(studio, "a-1", text + '\n"quoted", second line')
        rows = list(csv.DictReader(io.StringIO(history_csv.as_csv(studio), newline="")))
        mine = [row for row in rows if row["run"] == "a-1"]
        assert {row["title"] for row in mine} == {f"'{text}"}
        assert mine[0]["note"].startswith(f'\'{text}\n"quoted"')
        for row in rows:
            texts = [row[name] for name in ("title", "note", "run", "state", "recipe", "base", "vocabulary", "data")]
            assert not [cell for cell in texts if cell.startswith(("=", "+", "-", "@"))]
    assert [(row["stage"], row["steps"], row["tokens"]) for row in mine] == [
        ("align", "2", "20"), ("pretrain", "3", "30"), ("instruct", "0", "0")
    ]  # fmt: skip
    assert (mine[1]["bits_fa_before"], mine[1]["bits_fa"]) == ("2.0", "1.5")
    assert float(mine[1]["english_change"]) == pytest.approx(-0.1), "a number is a number, below zero too"
    assert mine[0]["created"] == "2027-01-15T08:00:00+00:00"
    assert {row["run"]: row["state"] for row in rows}["b-1"] == ""


def test_the_command_line_does_all_of_it(studio: Studio, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_run(studio, "a-1", checkpoints={0: (20, 40)})
    add_job(studio, "b-1", "done", 1.0)

    def ask(*words: str, status: int = 0) -> dict[str, object]:
        command = ["runs", *words, "--json", "--workspace", str(studio.settings.workspace)]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == status, done.output
        answer = json.loads(capfd.readouterr().out)
        assert isinstance(answer, dict)
        return answer

    assert ask("rename", "a-1", "نام") == {"run": "a-1", "title": "نام"}
    assert ask("note", "a-1", "یادداشت") == {"run": "a-1", "note": "یادداشت"}
    listed = ask("list", "--find", "نام")["runs"]
    assert isinstance(listed, list)
    assert [(run["run"], run["title"], run["note"], run["steps"]) for run in listed] == [("a-1", "نام", "یادداشت", 40)]
    shown = ask("show", "a-1")["checkpoints"]
    assert isinstance(shown, list)
    assert [each["reference"] for each in shown] == ["run:a-1/chat", "run:a-1/chat@40", "run:a-1/chat@20"]
    copy, table = tmp_path / "copy.yaml", tmp_path / "runs.csv"
    assert ask("clone", "a-1", "--out", str(copy))["out"] == str(copy)
    assert load_recipe(copy) == preset_recipe("first_steps")
    assert ask("csv", "--out", str(table))["bytes"] == table.stat().st_size
    assert "نام" in table.read_text(encoding="utf-8-sig")
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    would = ask("free", "a-1", "--dry-run")
    assert (would["dry_run"], len(would["removed"])) == (True, 2)  # type: ignore[arg-type]
    assert ask("free", "a-1") == would | {"dry_run": False}
    assert ask("free", "a-1")["removed"] == []
    assert ask("delete", "a-1", status=1)["error"] == "run.not_confirmed"
    assert ask("delete", "a-1", "--yes") == {"deleted": "a-1"}
    assert ask("show", "a-1", status=1)["error"] == "run.unknown"
