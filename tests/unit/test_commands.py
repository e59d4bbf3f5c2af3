"""Every verb of ``python -m studio`` as a terminal runs it: one JSON object, the agreed keys, the exit status."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.i18n import say
from studio.models.source import write_source
from studio.services import jobs, merging
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import command, plain
from tests.tiny import DOCUMENT_START

FERTILITY = {"tokens", "words", "characters", "bytes", "tokens_per_word", "characters_per_token", "bytes_per_token",
             "continued_word_share", "lines"}  # fmt: skip
BITS = {"bits_per_byte", "bytes", "tokens", "documents", "window", "document_start"}
CHAT = {"text", "tokens", "tokens_per_second", "characters_per_second"}
RUN = {"job", "run", "state", "steps", "loss", "tokens_per_second", "characters_per_second", "seconds",
       "peak_memory_bytes"}  # fmt: skip
MERGE = {"out", "files", "bytes", "dtype", "towards_base", "tensors_checked", "bits_per_byte_before",
         "bits_per_byte_after", "checks"}  # fmt: skip
CHECKS = {"base", "dtype", "towards_base", "tensors", "logits", "reload", "bits_per_byte", "top1"}
CLEAN = {"rows_in", "rows_out", "characters_in", "characters_out", "dropped", "seconds", "megabytes_per_second",
         "peak_memory_bytes"}  # fmt: skip
REPORT = {"name", "kind", "rows", "characters", "bytes", "licence", "source", "persian_share", "languages",
          "arabic_ye_kaf_share", "half_space_share", "duplicate_share", "lengths", "against",
          "contaminated_rows", "tokens", "job", "run", "state"}  # fmt: skip
JOB = {"state", "kind", "progress", "eta_seconds", "message"}

RECIPE = """
name: tiny
base: {base}
lora: {{rank: 4}}
stages:
  - name: chat
    kind: instruct
    data: [{{dataset: chats}}]
    budget: {{steps: 3}}
    batch: 1
    accumulation: 1
    length: 64
"""


@dataclass(frozen=True)
class Desk:
    """A workspace with one dataset and one run of three steps, all made by verbs."""

    workspace: Path
    model: str
    recipe: Path
    chats: Path
    imported: dict[str, Any]
    trained: dict[str, Any]

    def ask(self, *words: str, status: int = 0) -> dict[str, Any]:
        return command(self.workspace, *words, status=status, timeout=180)


@pytest.fixture(scope="module")
def desk(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    chats = folder / "chats.jsonl"
    rows = [{"prompt": f"پرسش {number}؟", "response": f"پاسخ {number}، کتاب خوب است."} for number in range(12)]
    chats.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
    recipe = folder / "tiny.yaml"
    recipe.write_text(RECIPE.format(base=f"local:{tiny_model}"), encoding="utf8")
    workspace = folder / "workspace"
    imported = command(workspace, "data", "import", str(chats), "--name", "chats", "--licence", "CC0-1.0")
    trained = command(workspace, "run", str(recipe), timeout=180)
    return Desk(workspace, f"local:{tiny_model}", recipe, chats, imported, trained)


def test_an_import_tells_what_was_stored(desk: Desk) -> None:
    told = desk.imported
    assert (told["state"], told["name"], told["kind"], told["rows"]) == ("done", "chats", "chat", 12)
    assert told["licence"] == "CC0-1.0"
    assert told["mapping"]["columns"] == {"prompt": "prompt", "response": "response"}
    listed = desk.ask("data", "list")
    assert set(listed) == {"datasets"}
    assert [(each["name"], each["rows"], each["sha256"]) for each in listed["datasets"]] == [
        ("chats", 12, told["sha256"])
    ]


def test_columns_are_chosen_and_deleting_says_who_refers(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "poems.csv"
    file.write_text("id,title,body\n1,یک,کتاب خوب است\n2,دو,هوا ابری است\n", encoding="utf8")
    told = desk.ask("data", "import", str(file), "--name", "poems", "--column", "text=title")
    assert (told["kind"], told["characters"], told["files"]) == ("text", len("یک") + len("دو"), ["poems.csv"])
    assert desk.ask("data", "delete", "poems") == {"deleted": "poems"}
    refused = desk.ask("data", "delete", "chats", status=1)
    assert (refused["error"], refused["details"]["runs"]) == ("data.in_use", "tiny-1")
    left = desk.ask("data", "list")["datasets"]
    assert [each["name"] for each in left] == ["chats"], "poems are gone, chats are kept"


def test_a_dataset_is_cleaned_undone_reported_and_exported(tmp_path: Path) -> None:
    workspace, file, suite = tmp_path / "workspace", tmp_path / "news.txt", tmp_path / "suite.txt"
    good = "باران تند دیشب راه روستا را بست و کسی نتوانست به شهر برود."
    asked = "کدام شاعر بزرگ ایرانی این بیت زیبا را سروده است و چرا"
    file.write_text(f"{good}\n{good}\nکوتاه بود\n{good} {asked}؟\n", encoding="utf8")
    suite.write_text(asked + "\n", encoding="utf8")
    command(workspace, "data", "import", str(file), "--name", "news", "--licence", "CC0-1.0")
    told = command(workspace, "data", "clean", "news", "--against", str(suite))
    assert set(told) >= CLEAN
    assert (told["name"], told["rows_in"], told["rows_out"]) == ("news-clean", 4, 1)
    assert {rule: each["rows"] for rule, each in told["dropped"].items()} == {
        "contamination": 1, "duplicates": 1, "few_words": 0, "nothing_left": 1
    }  # fmt: skip
    assert told["bytes_in"] == told["bytes_out"] + sum(each["bytes"] for each in told["dropped"].values())
    undone = command(workspace, "data", "clean", "news", "--against", str(suite), "--set", "few_words=off")
    assert (undone["name"], undone["rows_out"], undone["judged_again"]) == ("news-clean-2", 2, False)
    assert told["judged_again"] is True
    report = command(workspace, "data", "report", "news")
    assert set(report) == REPORT
    assert (report["against"], report["contaminated_rows"], report["tokens"]) == ([], None, None)
    assert (report["licence"], report["duplicate_share"], report["languages"]["fa"]) == ("CC0-1.0", 0.25, 1.0)
    books = {entry["rule"]: entry for entry in command(workspace, "data", "report", "news-clean")["ledger"]["rules"]}
    assert books["contamination"]["examples"] == [{"row": 3, "text": f"{good} {asked}؟"}]
    assert books["few_words"]["examples"] == [{"row": 2, "text": "کوتاه بود"}]
    out = tmp_path / "out.jsonl"
    exported = command(workspace, "data", "export", "news-clean", "--out", str(out))
    assert exported == {"out": str(out), "rows": 1, "bytes": out.stat().st_size}
    assert json.loads(out.read_text(encoding="utf8")) == {"text": good}
    refused = command(workspace, "data", "clean", "news", "--set", "words=3", status=1)
    assert refused["error"] == "clean.no_such_rule"
    refused = command(workspace, "data", "clean", "news", "--against", str(tmp_path / "none.txt"), status=1)
    assert refused["error"] == "data.no_such_file"
    kinds = [job.kind for job in jobs.listing(open_studio(Settings(workspace)))]
    assert kinds == ["examine", "examine", "clean", "clean", "import"], "what was refused was not queued"


def test_a_run_and_its_job(desk: Desk) -> None:
    told = desk.trained
    assert set(told) == RUN
    assert (told["run"], told["state"], told["steps"]) == ("tiny-1", "done", 3)
    assert 0 < told["loss"] < 20
    assert told["tokens_per_second"] > 0
    assert told["peak_memory_bytes"] > 10**7
    job = str(told["job"])
    shown = desk.ask("jobs", "show", job)
    assert set(shown) >= JOB
    assert (shown["state"], shown["kind"], shown["progress"]) == ("done", "train", 1.0)
    assert shown["message"] == say("en", "states.done")
    assert shown["result"]["loss"] == told["loss"]
    assert shown["alarms"] == []
    assert desk.ask("jobs", "stop", job, status=1)["error"] == "job.already_ended"
    assert desk.ask("jobs", "resume", job, status=1)["error"] == "job.already_done"


def test_a_detached_run_is_listed_stopped_and_resumed(desk: Desk) -> None:
    started = desk.ask("run", str(desk.recipe), "--set", "stages.0.budget.steps=5", "--detach")
    assert set(started) == {"job", "run", "state"}
    assert started["state"] in ("queued", "waiting", "running")
    job = str(started["job"])
    stopping = desk.ask("jobs", "stop", job)
    assert set(stopping) >= JOB
    studio = open_studio(Settings(desk.workspace))
    assert jobs.wait(studio, started["job"]).state == "stopped"
    assert set(desk.ask("jobs", "resume", job)) >= JOB
    ended = jobs.wait(studio, started["job"])
    assert (ended.state, ended.error) == ("done", None)
    assert ended.result is not None
    assert ended.result["steps"] == 5
    listed = desk.ask("jobs", "list")
    assert set(listed) == {"jobs"}
    assert all(set(each) >= JOB for each in listed["jobs"])
    assert listed["jobs"][0]["job"] == started["job"], "the newest comes first"


def test_the_result_is_measured_talked_to_and_merged(desk: Desk, tmp_path: Path) -> None:
    text = tmp_path / "lines.txt"
    lines = ["سارا به باغ می‌رود.", "The new books were on the table."]
    text.write_text("\n".join(lines) + "\n", encoding="utf8")
    measured = desk.ask("bits", "--model", "run:tiny-1", "--text", str(text))
    assert set(measured) == BITS
    assert (measured["documents"], measured["bytes"]) == (2, sum(len(line.encode()) for line in lines))
    assert (measured["window"], measured["document_start"]) == (2048, DOCUMENT_START)
    assert 0 < measured["bits_per_byte"] < 20

    asked = ("chat", "--model", "run:tiny-1", "--prompt", "سلام", "--greedy", "--max-tokens", "12")
    answer = desk.ask(*asked)
    assert set(answer) == CHAT
    assert 0 < answer["tokens"] <= 12
    again = plain(desk.workspace, *asked)
    assert (again.returncode, again.stdout) == (0, answer["text"] + "\n"), "greedy answers are equal"

    out = tmp_path / "merged"
    merged = desk.ask("merge", "tiny-1", "--out", str(out))
    assert set(merged) >= MERGE
    assert merged["out"] == str(out)
    assert sorted(path.name for path in out.iterdir()) == merged["files"]
    assert merged["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    assert merged["tensors_checked"] == 20
    assert merged["bits_per_byte_after"] == pytest.approx(merged["bits_per_byte_before"], rel=0.005)
    assert desk.ask("merge", "run:tiny-1", "--out", str(out), status=1)["error"] == "publish.out_exists"
    below = desk.ask("merge", "tiny-1", "--out", str(text / "model"), status=1)
    assert below["error"] == "publish.out_not_writable"
    kinds = [job.kind for job in jobs.listing(open_studio(Settings(desk.workspace)))]
    assert kinds.count("merge") == 1, "what was refused was not queued"


def test_a_merge_part_of_the_way_back_is_chosen_made_and_verified(desk: Desk, tmp_path: Path) -> None:
    found = desk.ask("towards", "tiny-1")
    assert set(found) == {"points"}
    assert [set(point) for point in found["points"]] == [{"towards_base", "fa", "en"}] * 5
    assert [point["towards_base"] for point in found["points"]] == [0, 0.25, 0.5, 0.75, 1]
    assert len({point["fa"] for point in found["points"]}) > 1
    assert merging.curve(open_studio(Settings(desk.workspace)), "run:tiny-1") == tuple(
        merging.Point(**point) for point in found["points"]
    )
    out = tmp_path / "merged"
    merged = desk.ask("merge", "tiny-1", "--out", str(out), "--dtype", "float32", "--towards-base", "0.25")
    assert (merged["dtype"], merged["towards_base"]) == ("float32", 0.25)
    assert set(merged["checks"]) == CHECKS
    assert json.loads((out / "config.json").read_text(encoding="utf8"))["dtype"] == "float32"
    verified = desk.ask("verify", str(out), "--run", "tiny-1")
    assert (verified["state"], verified["folder"]) == ("done", str(out))
    assert set(verified["checks"]) == {*CHECKS, "files"}
    file = out / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    failed = desk.ask("verify", str(out), "--run", "tiny-1", status=1)
    assert (failed["error"], failed["details"]["check"]) == ("publish.not_verified", "tensors")
    outside = desk.ask("merge", "tiny-1", "--out", str(tmp_path / "b"), "--towards-base", "1", status=1)
    assert outside["error"] == "publish.towards_out_of_range"


def test_fertility_needs_nothing_but_a_tokenizer(desk: Desk, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    only = tmp_path / "tokenizer"
    only.mkdir()
    shutil.copy(Path(desk.model.removeprefix("local:")) / "tokenizer.json", only)
    lines = ["سارا به باغ رفت", "کتاب خوب است", "The book is good"]
    text = tmp_path / "text.txt"
    text.write_text("\n".join(lines), encoding="utf8")
    found = desk.ask("fertility", "--model", f"local:{only}", "--text", str(text))
    assert set(found) == FERTILITY
    tokenizer = Tokenizer.from_file(str(only / "tokenizer.json"))
    tokens = sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in lines)
    words = sum(len(line.split()) for line in lines)
    assert (found["tokens"], found["words"], found["lines"]) == (tokens, words, 3)
    assert (found["characters"], found["bytes"]) == (sum(map(len, lines)), sum(len(line.encode()) for line in lines))
    assert found["tokens_per_word"] == pytest.approx(tokens / words)
    assert found["bytes_per_token"] == pytest.approx(found["bytes"] / tokens)
    stored = desk.ask("fertility", "--model", f"local:{only}", "--dataset", "chats")
    assert set(stored) == FERTILITY
    assert (stored["lines"], stored["characters"]) == (24, desk.imported["characters"])


def test_a_fetch_uses_the_copy_on_disk(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "models" / "hub--org--tiny--main"
    shutil.copytree(tiny_model, folder)
    write_source(folder, reference="hub:org/tiny", original="org/tiny", licence=None, note=None, origins=[])
    told = command(tmp_path / "workspace", "models", "fetch", "hub:org/tiny")
    assert set(told) >= {"path", "bytes", "source", "seconds"}
    assert (told["path"], told["source"]) == (str(folder), "disk")
    assert told["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert command(tmp_path / "workspace", "models", "list") == {"models": ["hub:org/tiny"]}


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "show", "first"],
        ["data", "import", "--name", "x"],
        ["fertility", "--model", "starter:smollm2-135m"],
        ["chat", "--model", "starter:smollm2-135m", "--prompt", "x", "--max-tokens", "0", "--json"],
        ["train"],
    ],
    ids=["number", "argument", "neither", "bound", "verb"],
)
def test_wrong_usage(words: list[str], tmp_path: Path) -> None:
    done = plain(tmp_path / "workspace", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage" in done.stderr
    assert "Traceback" not in done.stderr


def test_sentences_in_the_language_of_the_terminal(tmp_path: Path) -> None:
    persian = say("fa", "errors.job.unknown", job="7")
    english = say("en", "errors.job.unknown", job="7")
    workspace = tmp_path / "workspace"
    told = command(workspace, "jobs", "show", "7", "--language", "fa", status=1)
    assert told == {"error": "job.unknown", "message": persian, "details": {"job": "7"}}
    by_environment = plain(workspace, "jobs", "show", "7", LANG="fa_IR.UTF-8")
    assert (by_environment.returncode, by_environment.stdout, by_environment.stderr) == (1, "", persian + "\n")
    by_option = plain(workspace, "jobs", "show", "7", "--language", "en", LANG="fa_IR.UTF-8")
    assert by_option.stderr == english + "\n"
