"""What asking for a merge, a check or a curve refuses before anything is queued."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, explain
from studio.jobs.store import NewJob
from studio.publish.record import write_record
from studio.recipes import dump_recipe, override, preset_recipe
from studio.services import exports, merging
from studio.services.merging import Point
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.tiny import build_tiny
from tests.unit.publish.making import make_adapter

RUN = "run:first_steps-1"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture
def studio(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A studio with one trained run whose base can be deleted, and no worker."""
    own = shutil.copytree(base, tmp_path / "base")
    studio = open_studio(Settings(tmp_path / "workspace"))
    monkeypatch.setattr(type(studio.queue), "advance", lambda queue: None)
    run = studio.settings.runs / "first_steps-1"
    make_adapter(run / "stages" / "00-chat", own)
    recipe = override(preset_recipe("first_steps"), [f"base=local:{own}"])
    (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    return studio


def refused(code: str, ask: object) -> StudioError:
    with pytest.raises(StudioError) as caught:
        ask()  # type: ignore[operator]
    assert caught.value.code == code
    for locale in LOCALES:
        assert "{" not in explain(locale, caught.value)
    return caught.value


def test_a_merge_is_queued_as_it_was_asked_for(studio: Studio, tmp_path: Path) -> None:
    job = merging.start_merge(studio, RUN, dtype="float16", towards_base=0.2)
    assert (job.kind, job.run, job.lane) == ("merge", "first_steps-1", "device")
    out = str(studio.settings.exports / "first_steps-1")
    assert job.arguments == {"run": RUN, "out": out, "dtype": "float16", "towards_base": 0.2}


@pytest.mark.parametrize("share", [-0.2, 1.0, float("nan")])
def test_a_share_outside_is_not_queued(studio: Studio, share: float) -> None:
    refused("publish.towards_out_of_range", lambda: merging.start_merge(studio, RUN, towards_base=share))
    assert studio.jobs.listing() == []


def test_where_it_cannot_be_written_it_is_not_queued(studio: Studio, tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    file.write_text("mine")
    refused("publish.out_exists", lambda: merging.start_merge(studio, RUN, full))
    refused("publish.out_exists", lambda: merging.start_merge(studio, RUN, file))
    error = refused("publish.out_not_writable", lambda: merging.start_merge(studio, RUN, file / "below"))
    assert error.details["reason"]
    refused("publish.bad_name", lambda: exports.export_folder(studio, "../elsewhere"))
    assert studio.jobs.listing() == []


def test_without_its_base_nothing_is_queued(studio: Studio, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "base")
    for ask in (
        lambda: merging.start_merge(studio, RUN),
        lambda: merging.start_verify(studio, tmp_path, RUN),
        lambda: merging.start_curve(studio, RUN),
    ):
        refused("model.no_such_folder", ask)
    assert studio.jobs.listing() == []


def test_what_is_no_merge_of_the_run_is_not_checked(studio: Studio, base: Path, tmp_path: Path) -> None:
    refused("model.no_such_folder", lambda: merging.start_verify(studio, tmp_path / "none", RUN))
    empty = tmp_path / "empty"
    empty.mkdir()
    refused("model.no_config", lambda: merging.start_verify(studio, empty, RUN))
    made = shutil.copytree(base, tmp_path / "made")
    refused("publish.nothing_to_merge", lambda: merging.start_verify(studio, made, f"local:{base}"))
    write_record(made, "merged", "run:second-1", "local:x", {})
    error = refused("publish.of_another_run", lambda: merging.start_verify(studio, made, RUN))
    assert error.details == {"folder": "made", "run": RUN, "made": "run:second-1"}
    write_record(made, "adapter", RUN, "local:x", {})
    refused("publish.not_merged", lambda: merging.start_verify(studio, made, RUN))
    (made / "export.json").write_text("{", encoding="utf8")
    refused("publish.record_broken", lambda: merging.start_verify(studio, made, RUN))
    assert studio.jobs.listing() == []
    write_record(made, "merged", RUN, "local:x", {})
    assert merging.start_verify(studio, made, RUN).arguments == {"run": RUN, "folder": str(made)}


def test_the_newest_curve_of_a_run_is_told(studio: Studio) -> None:
    refused("publish.nothing_to_merge", lambda: merging.start_curve(studio, "starter:smollm2-135m"))
    assert merging.curve(studio, RUN) is None
    job = merging.start_curve(studio, RUN)
    assert merging.start_curve(studio, RUN).id == job.id, "one on its way is enough"
    assert merging.curve(studio, RUN) is None
    for run, bits in ((RUN, 3.0), (RUN, 2.0), ("run:other-1", 1.0)):
        other = studio.jobs.add(NewJob("towards", run, {"run": run}, lane="device"))
        studio.jobs.finish(other, "done", result={"points": [{"towards_base": 0.25, "fa": bits, "en": bits}]})
    assert merging.curve(studio, RUN) == (Point(0.25, 2.0, 2.0),)
