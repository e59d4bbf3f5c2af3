"""The GGUF job as a whole: a folder with everything in it, or nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.errors import StudioError
from studio.publish.gguf import export as gguf_export
from studio.publish.gguf.export import export_gguf
from studio.publish.gguf.kinds import KINDS
from studio.publish.record import check_record
from studio.recipes import dump_recipe
from studio.services import gguf
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.live import command
from tests.starter import CACHE
from tests.unit.publish.making import make_adapter
from tests.unit.publish.test_card import RECIPE
from tests.unit.training.tiny_families import build_family

TEXTS = ["متنی که در آموزش نبود.", "A text that was not trained on."]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Settings:
    """A workspace with a run of a tiny Llama-2, merged, and the converter."""
    settings = Settings(tmp_path_factory.mktemp("whole"))
    base = build_family("llama2", settings.models / "tiny")
    run = settings.runs / "first-1"
    make_adapter(run / "stages" / "00-chat", base)
    (run / "recipe.yaml").write_text(dump_recipe(RECIPE.model_copy(update={"base": f"local:{base}"})), "utf8")
    gguf_export.fetch_converter(CACHE, stopping=lambda: False)
    shutil.copytree(CACHE.workspace / "tools", settings.workspace / "tools")
    return settings


@pytest.fixture
def studio(whole: Settings, tmp_path: Path) -> Studio:
    shutil.copytree(whole.workspace, tmp_path / "workspace", dirs_exist_ok=True)
    return open_studio(Settings(tmp_path / "workspace"))


def export(studio: Studio, kind: str = "f16", **more: Any) -> dict[str, Any]:
    given = {"progress": lambda share, note: None, "stopping": lambda: False} | more
    return export_gguf("run:first-1", kind, studio.settings, TEXTS, **given)


def test_kinds_of_one_run_share_a_folder_that_can_be_published(studio: Studio, monkeypatch) -> None:
    monkeypatch.setattr(gguf_export, "check_texts", lambda: TEXTS * 20)
    seen: list[float] = []
    first = export(studio, progress=lambda share, note: seen.append(share))
    assert seen == sorted(seen)
    folder = studio.settings.exports / "first-1-gguf"
    assert set(first) == {"file", "bytes", "kind", "checks", "modelfile"}
    assert first["file"] == str(folder / "first-1-f16.gguf")
    assert first["bytes"] == Path(first["file"]).stat().st_size
    assert first["checks"]["texts"] == 40
    merged = check_record(studio.settings.exports / "first-1")
    assert merged.kind == "merged"

    loose = {name: replace(kind, agreement=0.3, perplexity=2.0) for name, kind in KINDS.items()}
    monkeypatch.setattr("studio.publish.gguf.kinds.KINDS", loose)  # 32 random columns suffer more than a real model
    second = export(studio, "q8_0")
    record = check_record(folder)
    assert (record.kind, record.run) == ("gguf", "run:first-1")
    assert set(record.files) >= {"Modelfile", "first-1-f16.gguf", "first-1-q8_0.gguf"}
    assert set(record.checks) == {"f16", "q8_0"}
    assert "FROM ./first-1-q8_0.gguf\n" in Path(second["modelfile"]).read_text(encoding="utf8")
    card = (folder / "README.md").read_text(encoding="utf8")
    assert "first-1-f16.gguf" in card
    assert str(studio.settings.workspace) not in card
    with pytest.raises(StudioError, match=r"file\.exists"):
        export(studio, "q8_0")
    assert sorted(path.name for path in studio.settings.exports.iterdir()) == ["first-1", "first-1-gguf"]

    out = studio.settings.workspace / "elsewhere.gguf"
    third = export(studio, out=out)
    assert (third["file"], third["modelfile"]) == (str(out), f"{out}.Modelfile")
    assert out.read_bytes() == Path(first["file"]).read_bytes()
    assert "FROM ./elsewhere.gguf\n" in Path(third["modelfile"]).read_text(encoding="utf8")
    with pytest.raises(StudioError, match=r"file\.exists"):
        export(studio, out=out)


def test_without_llama_cpp_there_is_a_file_but_no_record(studio: Studio, monkeypatch) -> None:
    monkeypatch.setattr(gguf_export, "can_check", lambda: False)
    found = export(studio)
    assert found["checks"] is None
    with pytest.raises(StudioError, match=r"publish\.not_checked"):
        check_record(studio.settings.exports / "first-1-gguf")


def test_a_stop_leaves_nothing_of_the_file(studio: Studio) -> None:
    stop: list[bool] = []

    def progress(share: float, note: str) -> None:
        if note.startswith("progress.gguf"):
            stop.append(True)

    with pytest.raises(StudioError, match=r"job\.stopped"):
        export(studio, "q4_0", progress=progress, stopping=lambda: bool(stop))
    assert [path.name for path in studio.settings.exports.iterdir()] == ["first-1"], "the merged model is whole"
    with pytest.raises(StudioError, match=r"job\.stopped"):
        export(studio, progress=progress, stopping=lambda: bool(stop), out=studio.settings.workspace / "x.gguf")
    assert not list(studio.settings.workspace.glob("*.gguf*"))


def test_what_can_be_known_at_once_is_refused_at_once(studio: Studio, tmp_path: Path, monkeypatch) -> None:
    taken = tmp_path / "taken.gguf"
    taken.write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    for code, run, kind, out in (
        ("gguf.unknown_kind", "run:first-1", "q9", None),
        ("gguf.no_quantiser", "run:first-1", "q4_k_m", None),
        ("publish.nothing_to_merge", "starter:smollm2-135m", "f16", None),
        ("model.no_such_run", "run:nobody", "f16", None),
        ("file.exists", "run:first-1", "f16", taken),
        ("publish.out_not_writable", "run:first-1", "f16", taken / "below.gguf"),
    ):
        with pytest.raises(StudioError) as refused:
            gguf.start_gguf(studio, run, kind, out)
        assert refused.value.code == code
    assert studio.jobs.listing() == []


def test_kinds_say_why_they_cannot_be_made_here(studio: Studio, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {kind.name: kind for kind in gguf.kinds(studio)}
    assert [found[name].available for name in ("f16", "q8_0", "q4_0", "q4_k_m")] == [True, True, True, False]
    assert found["q4_k_m"].why_not is not None
    assert found["q4_k_m"].why_not.code == "gguf.no_quantiser"
    assert next(iter(found)) in ("f16", "bf16")


def test_the_verb_answers_with_the_agreed_keys(studio: Studio) -> None:
    workspace = studio.settings.workspace
    refused = command(workspace, "export", "first-1", "--gguf", "q9", status=1)
    assert refused["error"] == "gguf.unknown_kind"
    told = command(workspace, "export", "first-1", "--gguf", "F16", timeout=300)
    assert set(told) == {"job", "run", "state", "file", "bytes", "kind", "checks", "modelfile"}
    assert (told["state"], told["kind"], told["run"]) == ("done", "f16", "first-1")
    assert check_record(Path(told["file"]).parent).kind == "gguf"
