from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data import incoming, stored
from studio.data.cleaning import assemble
from studio.data.cleaning.clean import Result, clean
from studio.data.cleaning.ledger import FILE, read_ledger
from studio.data.cleaning.switches import Switches, choose, hash_file
from studio.data.mapping import make_mapping
from studio.data.sample import Chat, Message, Sample, Text, kind_of, strings
from studio.errors import StudioError
from studio.settings import ROOT

PROSE = "بچه‌ها از صبح در باغ بزرگ پشت خانه بازی می‌کنند و خیلی خوشحال هستند."
OTHER = "کتاب‌های تازه را روی میز گذاشت و گفت هر کس هر چه خواست بردارد."
THIRD = "باران تند دیشب راه روستا را بست و کسی نتوانست به شهر برود."
ENGLISH = "The children have been playing in the garden since this morning."


def store(folder: Path, name: str, samples: Sequence[Sample]) -> Path:
    mappings = {
        "chat": make_mapping("messages", messages="m"),
        "pair": make_mapping("pair", fa="fa", en="en"),
        "text": make_mapping("text", text="text"),
    }
    with incoming.incoming(folder, name) as writer:
        for sample in samples:
            writer.add(sample)
        writer.commit(
            mapping=mappings[kind_of(samples[0])], source="test", licence="CC0-1.0", encoding=None, files=["a.txt"]
        )
    return folder / name


def run(parent: Path, switches: Switches, name: str = "out", **options) -> Result:
    options = {"progress": lambda share, note: None, "stopping": lambda: False, "processes": 1} | options
    return clean(parent, parent.parent, name, switches, **options)


def texts(result: Result, folder: Path) -> list[str]:
    return ["\n".join(strings(sample)) for sample in stored.read_samples(folder / result.manifest.name)]


sentence = st.sampled_from(
    [
        PROSE,
        OTHER,
        THIRD,
        ENGLISH,
        "كوتاه است.",
        "if (x == 1) { return; } و بعد از آن",
        "ســلام  بر شما دوستان خوب من.",
    ]
)
document = st.lists(st.tuples(sentence, st.sampled_from([" ", "\n", "\n\n", "  \t", "\r\n"])), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(document.map(lambda parts: "".join(text + blank for text, blank in parts)), min_size=1, max_size=8),
    st.sampled_from(["llama_persian", "documents"]),
    st.sets(st.sampled_from(["few_words", "boilerplate", "language", "duplicates", "near_duplicates"])),
    st.booleans(),
)
def test_the_books_add_up_to_the_input(documents: list[str], preset: str, off: set[str], normalise: bool) -> None:
    choices = [f"{rule}=off" for rule in off] + [f"normalise={'on' if normalise else 'off'}"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parent = store(folder, "in", [Text(text) for text in documents])
        refused = None
        try:
            result = run(parent, choose("text", preset, choices))
        except StudioError as error:
            refused = (error.code, os.listdir(folder))
        if refused is not None:
            assert refused == ("clean.nothing_left", ["in"])
            return
        ledger, left = result.ledger, texts(result, folder)
    assert (ledger.rows_in, ledger.rows_out) == (len(documents), len(left))
    assert ledger.rows_in == ledger.rows_out + sum(entry.rows for entry in ledger.rules)
    read, written = sum(len(text.encode()) for text in documents), sum(len(text.encode()) for text in left)
    gone = sum(entry.bytes for entry in ledger.rules) + ledger.normalising.bytes + ledger.joining.bytes
    assert (ledger.bytes_in, ledger.bytes_out, gone) == (read, written, read - written)
    assert ledger.characters_in == sum(map(len, documents))
    assert all(entry.bytes == 0 for entry in ledger.rules if not entry.on)
    if not normalise:
        assert (ledger.normalising.characters, ledger.normalising.bytes) == (0, 0)
        assert ledger.joining.bytes >= 0
        assert set(" ".join(left).split()) <= set(" ".join(documents).split())


def test_sentences_go_and_the_rest_stays_in_order(tmp_path: Path) -> None:
    first = f"{PROSE} کوتاه بود. {OTHER}\n\n{ENGLISH} {THIRD}"
    parent = store(tmp_path, "in", [Text(first), Text(f"{OTHER} {ENGLISH}"), Text(first)])
    before = {file.name: file.read_bytes() for file in parent.iterdir()}
    result = run(parent, choose("text"))
    assert texts(result, tmp_path) == [f"{PROSE} {OTHER}\n\n{THIRD}"]
    dropped = result.ledger.dropped()
    assert {rule: (each["rows"], each["units"]) for rule, each in dropped.items()} == {
        "few_words": (0, 1), "language": (0, 2), "seen": (0, 1), "duplicates": (1, 1), "nothing_left": (1, 1),
    }  # fmt: skip
    assert result.ledger.languages == {"fa": 9, "en": 3}
    examples = {entry.rule: entry.examples for entry in result.ledger.rules}
    assert [(one.row, one.text) for one in examples["few_words"]] == [(0, "کوتاه بود.")]
    assert {file.name: file.read_bytes() for file in parent.iterdir()} == before, "the parent is only read"
    cleaned = result.manifest.cleaned
    assert cleaned is not None
    assert (cleaned.parent, cleaned.preset, result.manifest.licence) == ("in", "llama_persian", "CC0-1.0")
    assert result.manifest.dropped == {"duplicates": 1, "nothing_left": 1}
    assert read_ledger(tmp_path / "out") == result.ledger


@pytest.mark.parametrize(
    "off", [["language"], ["duplicates"], ["near_duplicates", "duplicates"], ["few_words", "seen"]]
)
def test_a_rule_undone_is_a_rule_that_never_was(tmp_path: Path, off: list[str]) -> None:
    near = f"{PROSE} {OTHER} {THIRD}"
    parent = store(tmp_path, "in", [Text(f"{ENGLISH} {near} یک دو."), Text(near), Text(f"{near} یک دو."), Text(near)])
    run(parent, choose("text"), "all")
    choices = choose("text", None, [f"{rule}=off" for rule in off])
    fresh = run(parent, choices, "fresh")
    again = run(parent, choices, "again", earlier=tmp_path / "all")
    assert again.manifest.sha256 == fresh.manifest.sha256
    assert again.ledger == fresh.ledger
    assert (again.judged, fresh.judged) == (False, True)
    third = run(parent, choose("text"), "third", earlier=tmp_path / "again")
    assert third.ledger == read_ledger(tmp_path / "all"), "and what was undone can be done again"


def test_one_of_a_group_stays_if_its_first_is_dropped(tmp_path: Path) -> None:
    long = f"{PROSE} {OTHER} {THIRD} " * 4
    suite = tmp_path / "suite.jsonl"
    suite.write_text(json.dumps({"q": ["x", "پرسش آزمون از هشت واژه درست شده است اینجا"]}, ensure_ascii=False), "utf8")
    tainted = long + "پرسش آزمون از هشت واژه درست شده است اینجا."
    parent = store(tmp_path, "in", [Text(tainted), Text(long), Text(long + "همین.")])
    switches = choose("text", "documents", ["few_words=off", "repeated_words=off"], [hash_file(suite)])
    result = run(parent, switches, suites=[suite])
    assert texts(result, tmp_path) == [long.strip()]
    assert {rule: each["rows"] for rule, each in result.ledger.dropped().items()} == {
        "contamination": 1, "near_duplicates": 1,
    }  # fmt: skip
    assert result.manifest.cleaned is not None
    assert result.manifest.cleaned.against == ["suite.jsonl"]


def test_chats_stay_whole_or_go(tmp_path: Path) -> None:
    def chat(*said: str) -> Chat:
        roles = ("user", "assistant")
        return Chat((Message("system", "كوتاه بگو."), *(Message(roles[i % 2], text) for i, text in enumerate(said))))

    good = chat("امروز هوا چطور است؟", PROSE, "دیگر چه؟", OTHER)
    other = chat("کتاب تازه کجاست؟", "همین‌جا روی میز است و می‌توانید آن را بردارید.")
    twice = chat("بگو", "همین را بگو", "بگو", "همین")
    parent = store(tmp_path, "in", [good, other, twice, good, chat("What is it?", ENGLISH)])
    result = run(parent, choose("chat"))
    kept = list(stored.read_samples(tmp_path / "out"))
    assert [[turn.role for turn in chat.messages][1:] for chat in kept] == [
        ["user", "assistant"] * 2,
        ["user", "assistant"],
    ]
    assert strings(kept[0])[0] == "کوتاه بگو."
    assert {rule: each["rows"] for rule, each in result.ledger.dropped().items()} == {
        "repeated_turns": 1, "duplicates": 1, "language": 1,
    }  # fmt: skip


def test_several_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "GROUP_ROWS", 3)
    rows = [Text(f"{PROSE} {OTHER} این شمارهٔ {number % 7} از همهٔ شماره‌ها است. {ENGLISH}") for number in range(20)]
    parent = store(tmp_path, "in", rows)
    switches = choose("text", None, ["near_duplicates=off"])
    alone = run(parent, switches, "alone")
    both = run(parent, switches, "both", processes=2)
    assert (both.ledger, both.manifest.sha256) == (alone.ledger, alone.manifest.sha256)
    assert [text.split("شمارهٔ ")[-1][0] for text in texts(alone, tmp_path)] == list("0123456")
    assert both.peak_memory > alone.peak_memory
    damaged = next(parent.glob("*.parquet"))
    content = damaged.read_bytes()
    damaged.write_bytes(content[:4] + b"x" * (len(content) // 2) + content[4 + len(content) // 2 :])
    with pytest.raises(StudioError) as caught:
        run(parent, choose("text"), "third", processes=2)
    assert caught.value.code == "data.dataset_damaged"
    assert sorted(os.listdir(tmp_path)) == ["alone", "both", "in"]


def test_a_stop_or_a_fault_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = store(tmp_path, "in", [Text(f"{PROSE} کوتاه بود.")])
    for options, code in (
        ({"stopping": lambda: True}, "job.stopped"),
        ({"free": lambda _: incoming.RESERVE_BYTES + 10}, "disk.too_small"),
    ):
        with pytest.raises(StudioError) as caught:
            run(parent, choose("text"), **options)
        assert (caught.value.code, os.listdir(tmp_path)) == (code, ["in"])
    monkeypatch.setattr(assemble, "rejoin", lambda units, kept: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(parent, choose("text"))
    assert os.listdir(tmp_path) == ["in"]


def test_a_kill_leaves_no_dataset_and_no_process(tmp_path: Path) -> None:
    script = tmp_path / "kill.py"
    script.write_text(
        "import sys, time\nfrom pathlib import Path\nfrom studio.data.cleaning.crew import share_out\n"
        "def slow(number):\n    Path(sys.argv[1], f'{number}').touch()\n    time.sleep(1)\n    return number\n"
        "if __name__ == '__main__':\n"
        "    list(share_out(slow, list(range(99)), processes=2, stopping=lambda: False, peaks=[]))\n"
    )
    marks = tmp_path / "marks"
    marks.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, str(script), str(marks)], env=environment, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while len(os.listdir(marks)) < 2 and time.monotonic() < give_up:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    time.sleep(2.5)
    reached = len(os.listdir(marks))
    time.sleep(1.5)
    assert 2 <= len(os.listdir(marks)) == reached <= 4, "those who worked for it have left"


@pytest.mark.parametrize(
    ("kind", "preset", "choice", "code"),
    [
        ("pair", "chats", None, "clean.preset_kind"),
        ("text", "pairs", None, "clean.preset_kind"),
        ("text", "chats", None, "clean.preset_kind"),
        ("chat", "documents", None, "clean.preset_kind"),
        ("text", "c4", None, "clean.no_such_preset"),
        ("text", None, "language", "clean.bad_choice"),
        ("text", None, "roles=off", "clean.no_such_rule"),
        ("text", None, "language=2", "clean.bad_value"),
        ("text", None, "few_words=2.5", "clean.bad_value"),
        ("text", None, "seen=3", "clean.bad_value"),
        ("text", None, "normalise=3", "clean.bad_value"),
        ("text", None, "language=nan", "clean.bad_value"),
    ],
)
def test_choices_that_do_not_fit(kind, preset, choice, code: str) -> None:
    with pytest.raises(StudioError) as caught:
        choose(kind, preset, [choice] if choice else [])
    assert caught.value.code == code


def test_choices() -> None:
    switches = choose("text", None, ["language=0.8", "seen=off", "boilerplate=on"])
    assert (switches.preset, switches.off, switches.values["language"]) == ("llama_persian", {"seen"}, 0.8)
    assert switches.measured_alike(choose("text", None, ["language=0.8"]))
    assert not switches.measured_alike(choose("text"))
    assert not switches.measured_alike(choose("text", None, ["language=0.8", "normalise=off"]))
    assert Switches.model_validate_json(switches.model_dump_json()) == switches
    assert FILE == "ledger.json"
