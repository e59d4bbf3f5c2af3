"""Checkpoints as a list, and freeing only what nothing refers to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.chat.client import ChatClient, ChatStatus
from studio.errors import StudioError
from studio.jobs.store import NewJob
from studio.models.files import locate
from studio.recipes import preset_recipe
from studio.services import checkpoints
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.training.checkpoints import WEIGHTS, stage_folder
from tests.past import OPTIMIZER_BYTES, WEIGHT_BYTES, make_run, measure

RUN = "recommended-1"
WHOLE = WEIGHT_BYTES + OPTIMIZER_BYTES + len("{}")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


@pytest.fixture
def folder(studio: Studio) -> Path:
    """A run stopped in its second stage: one stage finished, three checkpoints in each."""
    made = make_run(
        studio, RUN, preset_recipe("recommended"), state="stopped", steps=(30, 40), finished=1,
        checkpoints={0: (10, 20, 30), 1: (20, 30, 40)},
    )  # fmt: skip
    measure(studio, RUN, -1, 0, 2.0, 1.5)
    measure(studio, RUN, 0, 0, 2.3, 1.5)
    for stage, step, fa in ((0, 10, 1.9), (0, 20, 1.8), (0, 30, 1.85), (1, 20, 1.6), (1, 30, 1.7), (1, 40, 1.65)):
        measure(studio, RUN, stage, step, fa, 1.5)
    return made


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "stages")) for path in folder.glob("stages/*/checkpoints/*"))


def test_the_list_tells_size_score_best_and_newest(studio: Studio, folder: Path) -> None:
    found = checkpoints.listing(studio, RUN)
    assert [(each.reference, each.step, each.end, each.bits.get("fa")) for each in found] == [
        (f"run:{RUN}/pretrain@40", 40, False, 1.65),
        (f"run:{RUN}/pretrain@30", 30, False, 1.7),
        (f"run:{RUN}/pretrain@20", 20, False, 1.6),
        (f"run:{RUN}/align", 30, True, 1.85),
        (f"run:{RUN}/align@30", 30, False, 1.85),
        (f"run:{RUN}/align@20", 20, False, 1.8),
        (f"run:{RUN}/align@10", 10, False, 1.9),
    ]
    assert [each.reference for each in found if each.newest] == [f"run:{RUN}/pretrain@40"]
    assert [each.reference for each in found if each.best] == [f"run:{RUN}/pretrain@20"]
    assert {each.bytes for each in found if not each.end} == {WHOLE}
    assert found[3].bytes == WEIGHT_BYTES + len("{}") + len('{"steps": 30}'), "without the checkpoints below it"


def test_every_reference_in_the_list_can_be_used(studio: Studio, folder: Path, tiny_model: Path) -> None:
    environment = json.loads((folder / "environment.json").read_text())
    text = (folder / "recipe.yaml").read_text().replace(environment["recipe"]["base"], f"local:{tiny_model}")
    (folder / "recipe.yaml").write_text(text)
    for each in checkpoints.listing(studio, RUN):
        assert locate(each.reference, studio.settings).adapter == each.folder


def test_of_a_finished_stage_all_checkpoints_go_and_of_another_neither_newest_nor_best(
    studio: Studio, folder: Path
) -> None:
    (folder / "stages" / "01-pretrain" / "checkpoints" / ".incoming-step-000050").mkdir()
    (folder / "stages" / "01-pretrain" / "checkpoints" / ".incoming-step-000050" / "x").write_bytes(bytes(7))
    before = left(folder)
    plan = checkpoints.room(studio, RUN)
    assert left(folder) == before, "looking removes nothing"
    assert [(spare.name, spare.step, spare.reason) for spare in plan.spares] == [
        ("align", 10, "checkpoint"), ("align", 20, "checkpoint"), ("align", 30, "checkpoint"),
        ("pretrain", 30, "checkpoint"), ("pretrain", None, "half_written"),
    ]  # fmt: skip
    assert plan.bytes == 4 * WHOLE + 7
    assert checkpoints.free(studio, RUN) == plan
    assert left(folder) == ["01-pretrain/checkpoints/step-000020", "01-pretrain/checkpoints/step-000040"]
    assert (stage_folder(folder, 0, preset_recipe("recommended").stages[0]) / WEIGHTS).exists()
    assert checkpoints.free(studio, RUN).spares == ()


def test_without_scores_only_the_newest_of_an_unfinished_stage_stays(studio: Studio) -> None:
    folder = make_run(studio, "a-1", state="failed", finished=0, checkpoints={0: (10, 20, 30)})
    checkpoints.free(studio, "a-1")
    assert left(folder) == ["00-chat/checkpoints/step-000030"]


@pytest.mark.parametrize("state", ["queued", "waiting", "needs_login", "running", "stopping"])
def test_nothing_of_an_active_run_goes(state: str, studio: Studio) -> None:
    folder = make_run(studio, "a-1", state=state, checkpoints={0: (10, 20)})  # type: ignore[arg-type]
    for asked in (checkpoints.room, checkpoints.free):
        with pytest.raises(StudioError, match=r"^run\.used_by_job\("):
            asked(studio, "a-1")
    assert len(left(folder)) == 2


def test_nothing_goes_while_it_is_exported(studio: Studio, folder: Path) -> None:
    job = studio.jobs.add(NewJob("merge", "out", {"run": f"run:{RUN}/align@20", "out": "/x"}, run=RUN))
    with pytest.raises(StudioError, match=r"^run\.used_by_job\("):
        checkpoints.free(studio, RUN)
    assert len(left(folder)) == 6
    studio.jobs.finish(job, "done")
    checkpoints.free(studio, RUN)
    assert len(left(folder)) == 2


def test_what_is_shared_or_in_the_chat_stays_without_its_optimizer(
    studio: Studio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.shares.put("model", [f"run:{RUN}/align@10", f"run:{RUN}", "starter:smollm2-135m"])
    sides = (f"run:{RUN}/align@20", f"run:{RUN}/pretrain@30", "run:other-1/align@30")
    monkeypatch.setattr(ChatClient, "status", lambda self: ChatStatus(1, "b", sides, "cpu", 0, 0, "none", 0, 0.0))
    plan = checkpoints.free(studio, RUN)
    assert [(spare.name, spare.step, spare.reason, spare.bytes) for spare in plan.spares] == [
        ("align", 10, "optimizer", OPTIMIZER_BYTES), ("align", 20, "optimizer", OPTIMIZER_BYTES),
        ("align", 30, "checkpoint", WHOLE),
    ]  # fmt: skip
    assert left(folder) == [
        "00-align/checkpoints/step-000010", "00-align/checkpoints/step-000020", "01-pretrain/checkpoints/step-000020",
        "01-pretrain/checkpoints/step-000030", "01-pretrain/checkpoints/step-000040",
    ]  # fmt: skip
    kept = folder / "stages" / "00-align" / "checkpoints" / "step-000010"
    assert sorted(path.name for path in kept.iterdir()) == ["adapter_config.json", WEIGHTS]
    unfinished = folder / "stages" / "01-pretrain" / "checkpoints"
    assert len(list(unfinished.glob("*/optimizer.pt"))) == 3, "a stage that can go on keeps what it goes on with"
