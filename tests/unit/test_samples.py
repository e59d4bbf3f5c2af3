"""The sample texts are without fault, and the checker that says so finds each kind of fault."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
FILES = ("stories.jsonl", "more_stories.jsonl", "chats.jsonl", "prose.txt")


def _load_checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("samples_check", SAMPLES / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


checker = _load_checker()
FIRST = {name: (SAMPLES / name).read_text(encoding="utf-8").split("\n")[0] for name in FILES}
STORY: dict[str, str] = json.loads(FIRST["stories.jsonl"])


def _check(folder: Path, **lines: str) -> list[str]:
    """Check a folder of one text a file; `lines`, named by file, stand instead of the real first lines."""
    for name in FILES:
        text = lines.get(name.split(".")[0], FIRST[name])
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return list(checker.check(folder, checker.Least(stories=1, more_stories=1, chats=1, prose=1)))


def _chat(*messages: tuple[str, str]) -> str:
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in messages]})


def test_real_samples_have_no_fault() -> None:
    assert checker.check(SAMPLES) == []


def test_one_good_text_a_file_has_no_fault(tmp_path: Path) -> None:
    assert _check(tmp_path) == []


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("او كتاب خواند.", "letter not Persian: ARABIC LETTER KAF"),
        ("بازي خوب است.", "letter not Persian: ARABIC LETTER YEH"),
        ("موسى آمد.", "letter not Persian: ARABIC LETTER ALEF MAKSURA"),
        ("سلـام بر تو.", "letter not Persian: ARABIC TATWEEL"),
        ("ساعت ٤ شد.", "letter not Persian: ARABIC-INDIC DIGIT FOUR"),
        ("او می\u00adرود.", "hidden character U+00AD"),
        ("او می\u200c\u200cرود.", "half-space doubled"),
        ("او رفت\u200c و آمد.", "half-space at a word's edge"),
        ("او \u200cرفت.", "half-space at a word's edge"),
        ("او رفت\u200c.", "half-space at a word's edge"),
        ("برادر\u200cها رفتند.", "half-space after a letter that never joins"),
        ("او می رود.", "prefix detached"),
        ("او نمی داند.", "prefix detached"),
        ("او میرود.", "prefix glued"),
        ("او نمیتواند برود.", "prefix glued"),
        ("کتاب ها را خواند.", "plural detached"),
        ("کتاب های خوبی خواند.", "plural detached"),
        ("کتابهای خوبی خواند.", "plural glued"),
        ("این بزرگ تر است.", "comparative detached"),
        ("این بزرگ ترین است.", "comparative detached"),
        ("خانه ای دید.", "ending detached after silent he"),
        ("آمده اند.", "ending detached after silent he"),
        ("خانه ی ما بزرگ است.", "ending detached after silent he"),
        ("خانه\u200cی ما بزرگ است.", "ezafe written"),
        ("رفت, آمد.", "Latin punctuation"),
        ("رفت; آمد.", "Latin punctuation"),
        ("رفت?", "Latin punctuation"),
        ('او "سلام" گفت.', "Latin punctuation"),
        ("رفت ، آمد.", "space before punctuation"),
        ("چرا رفت ؟", "space before punctuation"),
        ("گفت: «سلام »", "space before punctuation"),
        ("گفت: « سلام»", "space after an opening mark"),
        ("رفت،آمد.", "no space after punctuation"),
        ("رفت  و آمد.", "space doubled"),
        ("رفت. ", "space doubled or at a line's end"),
        ("او 12 سیب خرید.", "Latin digit"),
        ("آنها رفتند.", "spelling: «آنها», write «آن\u200cها»"),
        ("This whole sentence is English and it is much too long. " * 4, "Persian is"),
    ],
)
def test_bad_persian_is_found(tmp_path: Path, sentence: str, reason: str) -> None:
    faults = _check(tmp_path, prose=f"{FIRST['prose.txt']} {sentence}")

    assert any(reason in fault for fault in faults)
    assert {fault.split(": ")[0] for fault in faults} == {"prose.txt:1"}


def test_tail_words_that_only_look_wrong_pass(tmp_path: Path) -> None:
    sentence = (
        "تنهایی بهای نهایی آن میدان بود و رهایی، اشتهای تازه\u200cای آورد؛ با `a, b?` و «ج»."
        " ده درجهٔ فارنهایت منهای سه درجه می\u200cشود هفت درجه."
    )

    assert _check(tmp_path, prose=f"{FIRST['prose.txt']} {sentence}") == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "not JSON"),
        (json.dumps({"fa": STORY["fa"]}), "exactly ['en', 'fa']"),
        (json.dumps({"fa": STORY["fa"], "en": 3}), "both languages must be texts"),
        (json.dumps({"fa": "سلام.", "en": STORY["en"]}), "fa: 1 words"),
        (json.dumps({"fa": STORY["fa"], "en": "word " * 121}), "en: 121 words"),
        (json.dumps({"fa": STORY["fa"], "en": STORY["en"] + " سلام"}), "Persian letters in the English text"),
        (json.dumps({"fa": STORY["fa"] + " او رفت.", "en": STORY["en"]}), "do not correspond"),
    ],
)
def test_bad_story_is_found(tmp_path: Path, row: str, reason: str) -> None:
    assert any(reason in fault and fault.startswith("stories.jsonl:1") for fault in _check(tmp_path, stories=row))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("[]", "exactly ['messages']"),
        (json.dumps({"messages": "سلام"}), "messages must be a list"),
        (json.dumps({"messages": [{"role": "user"}]}), "messages must be a list"),
        (json.dumps({"messages": []}), "roles must be"),
        (_chat(("assistant", "سلام"), ("user", "سلام")), "roles must be"),
        (_chat(("user", "سلام")), "roles must be"),
        (_chat(("user", "سلام"), ("user", "سلام"), ("assistant", "سلام")), "roles must be"),
        (_chat(("user", "سلام"), ("system", "سلام"), ("assistant", "سلام")), "roles must be"),
        (_chat(("user", "سلام"), ("assistant", " ")), "message 2: empty"),
        (_chat(("user", "سلام"), ("assistant", "ببین:\n```python\nx = = 1\n```")), "does not parse"),
        (_chat(("user", "سلام"), ("assistant", "ببین:\n```\nx = 1\n```")), "without a language"),
        (_chat(("user", "سلام"), ("assistant", "ببین:\n```python\nx = 1\n")), "left open"),
        (_chat(("user", "می روم"), ("assistant", "خوش آمدی")), "message 1: prefix detached"),
        (_chat(("user", "ترجمه کن"), ("assistant", "The rain has come.")), "message 2: Persian is 0%"),
    ],
)
def test_bad_chat_is_found(tmp_path: Path, row: str, reason: str) -> None:
    assert any(reason in fault and fault.startswith("chats.jsonl:1") for fault in _check(tmp_path, chats=row))


def test_a_translation_written_as_code_may_be_the_whole_answer(tmp_path: Path) -> None:
    assert _check(tmp_path, chats=_chat(("user", "ترجمه کن"), ("assistant", "`The rain has come.`"))) == []


def test_repeated_sentence_is_found(tmp_path: Path) -> None:
    sentence = "نرگس هر صبح با مادربزرگش سر چاه روستا می\u200cرفت."

    faults = _check(tmp_path, prose=f"{FIRST['prose.txt']} {sentence}")

    assert len(faults) == 1
    assert "prose.txt:1: sentence also in stories.jsonl:1: fa" in faults[0]


def test_lookalike_is_found(tmp_path: Path) -> None:
    changed = FIRST["prose.txt"].replace(" است", " بود").replace("آفتاب", "نور")

    faults = _check(tmp_path, prose=f"{FIRST['prose.txt']}\n{changed}")

    assert any("alike with prose.txt:1" in fault and fault.startswith("prose.txt:2") for fault in faults)


@pytest.mark.parametrize("name", FILES)
def test_too_little_and_missing_files_are_found(tmp_path: Path, name: str) -> None:
    _check(tmp_path)
    few = checker.check(tmp_path)
    (tmp_path / name).unlink()

    assert any(fault.startswith(f"{name}:1: too little") for fault in few)
    assert f"{name}:1: the file is missing" in checker.check(tmp_path)
