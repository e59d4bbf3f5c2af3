"""From a corpus to a folder: every kind of corpus, what is refused, the other methods, and the verbs."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from typer.testing import CliRunner

from studio.data import stored
from studio.errors import StudioError
from studio.services import vocabulary as service
from studio.settings import Settings
from studio.tokenizer import counting
from studio.tokenizer.corpus import Part, find_parts
from studio.tokenizer.expand import Watch, count_corpus
from studio.tokenizer.making import make
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import Method, read_vocabulary
from tests.unit.tokenizer.families import CORPUS, ENGLISH, build

QUIET = Watch(lambda share, note: None, lambda: False)


def learn(model: Path, corpus: list[str], out: Path, size: int = 100, **more: Any) -> dict[str, Any]:
    parts = find_parts(corpus, Settings(out.parent / "workspace"))
    return make(model, parts, size, out, reference=f"local:{model}", english=ENGLISH, watch=QUIET, workers=1, **more)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(CORPUS), encoding="utf8")
    return path


KEYS = (
    *("seconds", "peak_memory_bytes", "added", "base_vocabulary", "total_vocabulary", "curve"),
    *("base_tokens_per_word", "tokens_per_word", "unreachable", "english_changed", "english_checked", "unused_share"),
)


def test_every_kind_of_corpus_gives_the_same_vocabulary(text: Path, tmp_path: Path) -> None:
    model = build("qwen", tmp_path / "model")
    packed = tmp_path / "packed.txt.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": line}, ensure_ascii=False) + "\n" for line in CORPUS), encoding="utf8")
    wide = tmp_path / "wide.txt"
    wide.write_text(text.read_text(encoding="utf8"), encoding="utf-16")
    settings = Settings(tmp_path / "workspace")
    stored.import_files([rows], settings.datasets, "set", mapping=None, encoding=None, licence=None, source="test",
                        progress=QUIET.progress, stopping=QUIET.stopping)  # fmt: skip
    written = set()
    for place, corpus in enumerate((text, packed, rows, wide, "set")):
        learn(model, [str(corpus)], tmp_path / f"out{place}")
        written.add((tmp_path / f"out{place}" / "tokenizer.json").read_bytes())
    assert len(written) == 1


def test_the_figures(text: Path, tmp_path: Path) -> None:
    model = build("phi3", tmp_path / "model")
    found = learn(model, [str(text)], tmp_path / "out")
    before, after = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (model, tmp_path / "out"))
    assert found["added"] == 100 == len(found["curve"]) - 1
    assert found["total_vocabulary"] == found["base_vocabulary"] + 100 == after.get_vocab_size()
    assert found["base_vocabulary"] == before.get_vocab_size()
    assert (found["unreachable"], found["english_changed"], found["english_checked"]) == (0, 0, len(ENGLISH))
    assert found["base_tokens_per_word"] > 2 * found["tokens_per_word"] > 1
    assert 0 <= found["unused_share"] < 0.5
    assert found["seconds"] > 0
    assert found["peak_memory_bytes"] > 1e7
    report = service.report(tmp_path / "out", text)
    lines = text.read_text(encoding="utf8").splitlines()
    words = sum(len(line.split()) for line in lines)
    for key, tokenizer in (("base_tokens_per_word", before), ("tokens_per_word", after)):
        tokens = sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in lines)
        assert report[key] == tokens / words
    assert (report["unreachable"], report["english_changed"], report["curve"]) == (0, 0, found["curve"])
    cut = service.cut(tmp_path / "out", 30, tmp_path / "cut")
    assert (cut["added"], cut["curve"]) == (30, found["curve"][:31])
    assert (cut["unreachable"], cut["english_changed"]) == (0, 0)
    for verb in (found, cut, report):
        assert set(KEYS) <= set(verb)


@pytest.mark.parametrize("name", ["gpt2", "qwen", "phi3", "llama2", "gemma"])
def test_unused_pieces_are_told_at_every_size(name: str, text: Path, tmp_path: Path) -> None:
    model = build(name, tmp_path / "model")
    found = learn(model, [str(text)], tmp_path / "out", 120)
    lines = text.read_text(encoding="utf8").splitlines()
    for size in (120, 60):
        out = tmp_path / f"cut{size}"
        said = service.cut(tmp_path / "out", size, out)["unused_share"]
        tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
        used = {place for line in lines for place in tokenizer.encode(line, add_special_tokens=False).ids}
        new = range(tokenizer.get_vocab_size() - size, tokenizer.get_vocab_size())
        assert said == sum(place not in used for place in new) / size
    assert found["unused_share"] == service.cut(tmp_path / "out", 120, tmp_path / "whole")["unused_share"]


@pytest.mark.parametrize("name", ["qwen", "llama3", "llama2"])
@pytest.mark.parametrize("method", ["independent", "add_tokens"])
def test_what_papers_did_is_measured_by_the_same_rule(name: str, method: Method, text: Path, tmp_path: Path) -> None:
    model = build(name, tmp_path / "model")
    found = learn(model, [str(text)], tmp_path / "out", 500, method=method)
    assert 0 < found["added"] < 500
    assert found["overlap"] > 0
    after = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    old = Tokenizer.from_file(str(model / "tokenizer.json")).get_vocab(with_added_tokens=True)
    new = after.get_vocab(with_added_tokens=True)
    assert {token: new[token] for token in old} == old
    assert len(new) == found["total_vocabulary"] == len(old) + found["added"]
    report = service.report(tmp_path / "out", text)
    assert report["base_tokens_per_word"] > report["tokens_per_word"]
    with pytest.raises(StudioError, match="not_cut"):
        service.cut(tmp_path / "out", 10, tmp_path / "cut")


@pytest.mark.parametrize(
    ("lines", "size", "script", "code"),
    [
        (ENGLISH, 10, "arabic", "vocabulary.no_target"),
        (CORPUS[:10], 5_000, "arabic", "vocabulary.too_large"),
        (CORPUS, 10, "klingon", "vocabulary.no_such_script"),
    ],
)
def test_bad_input_says_what_to_do(lines: list[str], size: int, script: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines), encoding="utf8")
    model = build("gpt2", tmp_path / "model")
    with pytest.raises(StudioError) as refused:
        learn(model, [str(path)], tmp_path / "out", size, script=script)
    assert refused.value.code == code
    assert not (tmp_path / "out").exists()
    if code == "vocabulary.too_large":
        available = refused.value.details["available"]
        assert learn(model, [str(path)], tmp_path / "out", available)["added"] == available


def test_one_line_without_end_is_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 MB in one line take what 500 MB in lines take; here 4 MB with blocks of 64 kB."""
    path = tmp_path / "line.txt"
    path.write_text(" ".join(CORPUS) * 600, encoding="utf8")
    assert path.stat().st_size > 4_000_000
    monkeypatch.setattr(counting.spans, "__defaults__", (1 << 16,))
    script = find_script()
    tracemalloc.start()
    counts = count_corpus([Part(path, False)], script, QUIET, workers=1)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 1_500_000
    assert counts.words > 400_000
    found = learn(build("qwen", tmp_path / "model"), [str(path)], tmp_path / "out")
    assert (found["added"], found["unreachable"]) == (100, 0)


def test_arabic_letters_are_learned_as_they_stand(tmp_path: Path) -> None:
    """Nothing is normalised behind the user's back; the pieces then serve such text and no other."""
    arabic = str.maketrans("یک", "يك")
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(line.translate(arabic) for line in CORPUS), encoding="utf8")
    learn(build("gpt2", tmp_path / "model"), [str(path)], tmp_path / "out")
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    persian, same = (
        sum(len(tokenizer.encode(line).ids) for line in lines)
        for lines in (CORPUS, [line.translate(arabic) for line in CORPUS])
    )
    assert persian > 1.05 * same


def test_stopping_leaves_nothing(text: Path, tmp_path: Path) -> None:
    model = build("gpt2", tmp_path / "model")
    watch = Watch(lambda share, note: None, lambda: True)
    parts = find_parts([str(text)], Settings(tmp_path))
    before = set(tmp_path.iterdir())
    with pytest.raises(StudioError, match="job.stopped"):
        make(model, parts, 50, tmp_path / "out", reference="x", english=[], watch=watch, workers=1)
    assert set(tmp_path.iterdir()) == before


def test_a_folder_that_holds_something_is_left_alone(text: Path, tmp_path: Path) -> None:
    model = build("gpt2", tmp_path / "model")
    with pytest.raises(StudioError, match="out_exists"):
        learn(model, [str(text)], model)
    with pytest.raises(StudioError, match="not_a_vocabulary"):
        read_vocabulary(model)
    with pytest.raises(StudioError, match="no_such_dataset"):
        find_parts(["nothing"], Settings(tmp_path))
    with pytest.raises(StudioError, match="no_such_file"):
        find_parts(["nothing.txt"], Settings(tmp_path))


def test_the_verbs(text: Path, tmp_path: Path) -> None:
    """The whole way: a job in a process of its own."""
    from studio.__main__ import app

    model, out = build("gpt2", tmp_path / "model"), tmp_path / "out"
    runner = CliRunner()
    told = ["--json", "--workspace", str(tmp_path / "workspace")]

    def speak(*words: str) -> dict[str, Any]:
        import subprocess
        import sys

        done = subprocess.run(
            [sys.executable, "-m", "studio", "vocabulary", *words, *told], capture_output=True, check=True
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    learned = speak("learn", "--model", str(model), "--corpus", str(text), "--size", "60", "--out", str(out))
    assert (learned["state"], learned["added"]) == ("done", 60)
    assert speak("cut", str(out), "--size", "20", "--out", str(tmp_path / "cut"))["added"] == 20
    assert speak("report", str(tmp_path / "cut"), "--text", str(text))["english_changed"] == 0
    assert runner.invoke(app, ["vocabulary", "learn", "--size", "x"]).exit_code == 2
