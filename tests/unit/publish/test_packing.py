"""Packing as a job: through the command, and what it refuses before anything is queued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.i18n import explain
from studio.models.source import write_source
from studio.publish.record import check_record
from studio.recipes import dump_recipe
from studio.services import adapters
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.live import command
from tests.unit.publish.packing import build_run
from tests.unit.publish.test_card import RECIPE


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """A workspace with a run ``tiny-1`` of its own vocabulary; its base lies beside it."""
    folder = tmp_path_factory.mktemp("packing")
    files = build_run(folder / "made", "smollm2", tokens=40)
    settings = Settings(folder / "workspace")
    run = settings.runs / "tiny-1"
    assert files.adapter is not None
    shutil.copytree(files.adapter, run / "stages" / "00-chat")
    shutil.copytree(files.tokenizer_folder, run / "vocabulary")
    recipe = RECIPE.model_copy(update={"base": f"local:{files.folder}"})
    (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    return open_studio(settings)


def test_a_run_is_packed_by_the_command(studio: Studio, tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    told = command(studio.settings.workspace, "pack", "tiny-1", "--out", str(out), timeout=180)
    assert set(told) == {"out", "files", "bytes", "card", "checks", "job", "run", "state"}
    assert (told["out"], told["run"], told["state"]) == (str(out), "tiny-1", "done")
    assert told["checks"]["new_tokens"] == 40
    assert check_record(out).kind == "adapter"
    refused = command(studio.settings.workspace, "pack", "run:tiny-1/chat", "--out", str(out), status=1)
    assert refused["error"] == "publish.out_exists"
    assert [job.kind for job in studio.jobs.listing()] == ["adapter"], "what was refused was not queued"


def test_what_is_no_run_or_has_no_base_is_refused(studio: Studio, tmp_path: Path, tiny_model: Path) -> None:
    queued = len(studio.jobs.listing())
    foreign = shutil.copytree(tiny_model, tmp_path / "foreign")
    config = json.loads((foreign / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}}
    (foreign / "config.json").write_text(json.dumps(config))
    write_source(foreign, reference="local:x", original="x", licence=None, note=None, origins=[])
    for name, base in (("lost-1", tmp_path / "deleted"), ("own-1", foreign)):
        run = shutil.copytree(studio.settings.runs / "tiny-1", studio.settings.runs / name)
        recipe = RECIPE.model_copy(update={"base": f"local:{base}"})
        (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    (studio.settings.runs / "bare-1").mkdir()
    shutil.copy(studio.settings.runs / "tiny-1" / "recipe.yaml", studio.settings.runs / "bare-1")
    (tmp_path / "file").write_text("")
    for code, reference, out in (
        ("publish.nothing_to_pack", f"local:{tiny_model}", None),
        ("model.no_such_run", "run:none-1", None),
        ("model.no_checkpoint", "run:bare-1", None),
        ("model.no_such_folder", "run:lost-1", None),
        ("publish.adapter_foreign_code", "run:own-1", None),
        ("publish.out_exists", "run:tiny-1", tmp_path / "file"),
        ("publish.out_not_writable", "run:tiny-1", tmp_path / "file" / "below"),
    ):
        with pytest.raises(StudioError) as caught:
            adapters.start_adapter(studio, reference, out)
        assert caught.value.code == code
        for locale in ("en", "fa"):
            assert "{" not in explain(locale, caught.value)
    assert len(studio.jobs.listing()) == queued
