"""What is wrong is said in one sentence, with exit status 1, and leaves neither half a dataset nor a job behind."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from studio.data.mapping import make_mapping
from studio.data.sample import Text
from studio.errors import StudioError
from studio.i18n import explain, sentences
from studio.jobs.store import Job, NewJob
from studio.models.files import locate
from studio.services import datasets, jobs, merging, models, training
from studio.services.studio import Studio, open_studio
from studio.settings import ROOT, Settings
from tests.live import LiveStudio, command, free_port

PERSIAN = "سلام دنیا، کتاب خوب است و هوا ابری است.\n" * 40
RAGGED = "a,b\n" + "یک,دو\n" * 400 + "سه\n"
RECIPE = {
    "name": "tiny",
    "base": "starter:smollm2-135m",
    "stages": [{"name": "chat", "kind": "instruct", "data": [{"dataset": "sample-chats"}], "budget": {"steps": 2}}],
}

# What is shown by the start of a file is told at once; what comes later, by the job.
FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("empty.txt", b"", "data.file_empty"),
    "blank": ("blank.txt", b" \n\n\t\n", "data.file_blank"),
    "binary": ("binary.txt", bytes(range(256)) * 40, "data.binary"),
    "windows-1256": ("old.txt", PERSIAN.replace("ی", "ي").encode("windows-1256"), "data.encoding"),
    "ragged": ("ragged.csv", RAGGED.encode(), "data.ragged"),
    "truncated": ("cut.txt.gz", gzip.compress(os.urandom(3000).hex().encode())[:-400], "data.truncated"),
    "broken": ("broken.jsonl", b'{"text": "a"}\n' * 400 + b'{"text": \n{"text": "b"}\n', "data.json_broken"),
    "format": ("book.docx", b"PK\x03\x04....word/document.xml", "data.other_format"),
}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


def left_by(studio: Studio) -> list[str]:
    """Datasets, half ones too, and jobs that are neither done nor plainly failed."""
    folders = [path.name for path in studio.settings.datasets.iterdir()]
    return folders + [
        f"{job.kind} {job.state}" for job in studio.jobs.listing() if job.state not in ("done", "failed")
    ]


def failure(studio: Studio, ask: Callable[[], Job]) -> StudioError:
    """What `ask` refuses, or what the job that it queues fails with."""
    try:
        job = jobs.wait(studio, ask().id)
    except StudioError as error:
        assert not studio.jobs.listing(), "what is refused is not queued"
        return error
    assert job.state == "failed", job
    assert job.error is not None
    return StudioError(job.error["code"], **job.error["details"])


def check_sentences(error: StudioError) -> None:
    for locale in ("fa", "en"):
        said = explain(locale, error)
        assert f"errors.{error.code}" in sentences(locale)
        assert not re.search(r"\?[»”]|[{}]|None|Errno|Error", said), said
        assert len(said) < 500, said
        assert (re.search("[ا-ی]{3}", said) is not None) >= (locale == "fa")


@pytest.mark.parametrize("kind", FILES)
def test_a_bad_file(kind: str, studio: Studio, tmp_path: Path) -> None:
    name, content, code = FILES[kind]
    file = tmp_path / name
    file.write_bytes(content)
    error = failure(studio, lambda: datasets.start_import(studio, [file], "texts"))
    assert error.code == code
    assert error.details["file"] == name
    check_sentences(error)
    assert left_by(studio) == []
    assert file.read_bytes() == content, "a file of the user's is never touched"


def test_bad_files_on_the_command_line(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    for kind in ("empty", "windows-1256", "ragged"):
        name, content, code = FILES[kind]
        (tmp_path / name).write_bytes(content)
        words = ("data", "import", str(tmp_path / name), "--name", "texts")
        told = command(workspace, *words, "--language", "fa", status=1)
        assert set(told) == {"error", "message", "details"}
        assert told["error"] == code
        assert told["message"] == explain("fa", StudioError(code, **told["details"]))
    old = str(tmp_path / "old.txt")
    missing = command(workspace, "data", "import", old, "--name", "texts", "--encoding", "windows-1256",
                      "--column", "text=body", status=1)  # fmt: skip
    assert (missing["error"], missing["details"]["column"]) == ("data.no_such_column", "body")
    assert left_by(open_studio(Settings(workspace))) == []
    accepted = command(workspace, "data", "import", old, "--name", "texts", "--encoding", "windows-1256")
    assert (accepted["rows"], accepted["encoding"]) == (40, "windows-1256")
    first = datasets.preview(open_studio(Settings(workspace)), "texts", 0, 1)
    assert first == [Text(PERSIAN.replace("ی", "ي").splitlines()[0])]


def test_a_bad_column_name_or_encoding(studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text\nسلام\n", encoding="utf8")
    asked: list[tuple[str, Callable[[], Job]]] = [
        ("data.no_such_column",
         lambda: datasets.start_import(studio, [file], "x", mapping=make_mapping("text", text="body"))),
        ("data.mapping_incomplete", lambda: datasets.start_import(studio, [file], "x", mapping=make_mapping("pair"))),
        ("data.bad_name", lambda: datasets.start_import(studio, [file], "../x")),
        ("data.encoding_name", lambda: datasets.start_import(studio, [file], "x", encoding="windows-9999")),
        ("data.no_such_file", lambda: datasets.start_import(studio, [tmp_path / "none.csv"], "x")),
        ("data.no_files", lambda: datasets.start_import(studio, [], "x")),
        ("data.no_such_dataset", lambda: datasets.start_starter_import(studio, "sample-nothing")),
        ("hub.bad_id", lambda: datasets.start_hub_import(studio, "x", "x", config=None, split="train", rows_limit=1)),
    ]  # fmt: skip
    for code, ask in asked:
        error = failure(studio, ask)
        assert error.code == code
        check_sentences(error)
    assert left_by(studio) == []


def test_without_a_network(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    fetched = command(studio.settings.workspace, "models", "fetch", "hub:org/nothing", "--language", "fa", status=1)
    assert fetched["error"] == "hub.no_network"
    assert "org/nothing" in fetched["message"]
    error = failure(
        studio,
        lambda: datasets.start_hub_import(studio, "org/none", "none", config=None, split="train", rows_limit=9),
    )
    assert error.code == "hub.unreachable"
    check_sentences(error)
    assert left_by(studio) == []
    assert [path.name for path in studio.settings.models.iterdir() if not path.name.endswith(".lock")] == []


def test_a_bad_reference(studio: Studio, tmp_path: Path, tiny_model: Path) -> None:
    empty = tmp_path / "weightless"
    empty.mkdir()
    (empty / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    for code, ask in {
        "model.bad_reference": lambda: models.start_fetch(studio, "nonsense"),
        "model.not_fetchable": lambda: models.start_fetch(studio, "local:/nowhere"),
        "model.no_such_starter": lambda: models.start_fetch(studio, "starter:none"),
        "model.no_weights": lambda: locate(f"local:{empty}", studio.settings),
        "model.no_such_run": lambda: merging.start_merge(studio, "run:none-1"),
        "publish.nothing_to_merge": lambda: merging.start_merge(studio, f"local:{tiny_model}"),
        "run.unknown": lambda: training.stop(studio, "none-1"),
        "job.unknown": lambda: jobs.stop(studio, 7),
    }.items():
        with pytest.raises(StudioError) as caught:
            ask()
        assert caught.value.code == code
        check_sentences(caught.value)
    assert studio.jobs.listing() == []
    told = command(studio.settings.workspace, "chat", "--model", f"local:{empty}", "--prompt", "سلام", status=1)
    assert told["error"] == "model.no_weights"


STAGE = RECIPE["stages"][0]  # type: ignore[index]
RECIPES = {
    "misspelt": ({"stagse": 1}, "recipe.invalid", "چنین کلیدی وجود ندارد"),
    "zero": ({"stages": [{**STAGE, "budget": {"steps": 0}}]}, "recipe.invalid", "دست‌کم ۱"),  # type: ignore[dict-item]
    "two": ({"stages": [{**STAGE, "budget": {"steps": 1, "tokens": 1}}]}, "recipe.invalid", "درست یکی"),  # type: ignore[dict-item]
    "align": ({"stages": [{**STAGE, "kind": "align"}]}, "recipe.rows_without_vocabulary", "واژگان"),  # type: ignore[dict-item]
    "vocabulary": ({"vocabulary": "v"}, "vocabulary.unknown", "v"),
    "dataset": ({"stages": [{**STAGE, "data": [{"dataset": "none"}]}]}, "data.no_such_dataset", "none"),  # type: ignore[dict-item]
    "base": ({"base": "nonsense"}, "model.bad_reference", "nonsense"),
    "folder": ({"base": "local:/no/such/folder"}, "model.no_such_folder", "/no/such/folder"),
    "run": ({"base": "run:first_steps-1"}, "model.base_is_run", "run:first_steps-1"),
    "starter": ({"base": "starter:none"}, "model.no_such_starter", "none"),
}


@pytest.mark.parametrize("kind", RECIPES)
def test_a_bad_recipe_queues_nothing(kind: str, studio: Studio, tmp_path: Path) -> None:
    change, code, word = RECIPES[kind]
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({**RECIPE, **change}), encoding="utf8")
    with pytest.raises(StudioError) as caught:
        training.start(studio, training.read_recipe(str(file)))
    assert caught.value.code == code
    check_sentences(caught.value)
    assert word in explain("fa", caught.value)
    assert (studio.jobs.listing(), list(studio.settings.runs.iterdir())) == ([], [])


def test_a_base_without_weights_makes_no_dead_job(tiny_model: Path, tmp_path: Path) -> None:
    folder, file, workspace = tmp_path / "weightless", tmp_path / "recipe.yaml", tmp_path / "workspace"
    folder.mkdir()
    (folder / "config.json").write_bytes((tiny_model / "config.json").read_bytes())
    file.write_text(yaml.safe_dump({**RECIPE, "base": f"local:{folder}"}), encoding="utf8")
    assert command(workspace, "run", str(file), status=1)["error"] == "model.no_weights"
    told = command(workspace, "run", str(file), "--set", "stages.0.budget.stpes=3", status=1)
    assert (told["error"], told["details"]["key"]) == ("recipe.invalid", "stages.0.budget.stpes")
    assert open_studio(Settings(workspace)).jobs.listing() == []


def test_a_workspace_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told = command(tmp_path / "file" / "workspace", "data", "list", "--language", "fa", status=1)
    assert told["error"] == "workspace.not_writable"
    assert told["details"]["folder"] == str(tmp_path / "file" / "workspace")
    done = start_app(tmp_path / "file" / "workspace", PORT=str(free_port()))
    assert done.stderr.startswith("The workspace")


def test_our_own_mistake_is_one_object_too(tmp_path: Path) -> None:
    (tmp_path / "studio.db").write_bytes(b"this is no database" * 100)
    told = command(tmp_path, "jobs", "list", "--language", "fa", status=1)
    assert told["error"] == "command.unexpected"
    assert "not a database" in told["message"]


def start_app(workspace: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """An app that does not come up: it ends by itself with status 1 and one line on stderr."""
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT, env={**os.environ, "WORKSPACE": str(workspace), "LC_ALL": "C", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStudio]:
    live = LiveStudio(tmp_path_factory.mktemp("live") / "workspace").start()
    yield live
    live.close()


def test_a_second_app_on_one_workspace(running: LiveStudio) -> None:
    done = start_app(running.workspace, PORT=str(free_port()))
    assert running.address in done.stderr
    assert running.get("/en/"), "the first one goes on"
    persian = start_app(running.workspace, PORT=str(free_port()), LC_ALL="fa_IR.UTF-8", PYTHONUTF8="1")
    error = StudioError("workspace.in_use", folder=str(running.workspace), address=running.address)
    assert persian.stderr == explain("fa", error) + "\n"


def test_an_address_that_cannot_be_had(running: LiveStudio, tmp_path: Path) -> None:
    taken = start_app(tmp_path / "a", PORT=str(running.port))
    assert str(running.port) in taken.stderr
    public = start_app(tmp_path / "a", PORT=str(free_port()), HOST="0.0.0.0")
    assert "0.0.0.0" in public.stderr
    for port in ("eighty", "70000"):
        assert f"“{port}”" in start_app(tmp_path / "a", PORT=port).stderr
    assert not (tmp_path / "a").exists(), "nothing is made before the address is sure"


def test_what_is_left_is_seen(studio: Studio) -> None:
    studio.jobs.add(NewJob("import", "x", {"name": "x"}))
    (studio.settings.datasets / ".incoming-x").mkdir()
    assert left_by(studio) == [".incoming-x", "import queued"]
