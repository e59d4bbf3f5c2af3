"""Checks the sample texts: spelling, half-spaces, punctuation, sizes, chat shape and repetition.

Every text becomes a `Passage`, rules look at one passage or at pairs of them, and every fault names its file and line.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ZWNJ = "\u200c"
LETTER = "[\u0621-\u063a\u0641-\u0655\u0670-\u06d3]"
START, END = f"(?<!{LETTER})(?<!{ZWNJ})", f"(?!{LETTER}|{ZWNJ})"
PLURAL = "ها(?:ی|یی|یم|یت|یش|یمان|یتان|یشان)?"
# Words that end in «ها» without being plurals; the glued-plural rule must let them pass.
NOT_PLURAL = "(?:تنها|بها|گرانبها|اشتها|انتها|منتها|منها|نهایی|فارنهایت)"
GLUED_VERBS = (
    "شو[میدن]|کن[میدن]|کرد|خواه|خواست|گوی|گفت|رو[مدین]|رفت|ده[مدین]|دانم|داند|دانست|توان|بین[مدین]|گیر|خور|نویس"
    "|رس[مدین]|گذار"
)
FOREIGN_LETTERS = re.compile("[يىكۀـ\u0660-\u0669]")
HIDDEN = re.compile("[\u00a0\u00ad\u200b\u200d-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")
CODE = "\ufffc"  # stands where code stood, so that punctuation after code is not seen as punctuation after a space

STYLE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("half-space doubled", re.compile(ZWNJ + ZWNJ)),
    ("half-space at a word's edge", re.compile(f"(?<!{LETTER}){ZWNJ}|{ZWNJ}(?!{LETTER})")),
    ("half-space after a letter that never joins", re.compile(f"[اآدذرزژو]{ZWNJ}")),
    ("prefix detached", re.compile(f"{START}ن?می (?={LETTER})\\S+")),
    ("prefix glued", re.compile(f"{START}ن?می(?:{GLUED_VERBS}){LETTER}*")),
    ("plural detached", re.compile(f"{LETTER}+ {PLURAL}{END}")),
    ("plural glued", re.compile(f"{START}(?!{NOT_PLURAL}){LETTER}*[بپتثجچحخسشصضطظعغفقکگلمنهی]{PLURAL}{END}")),
    ("comparative detached", re.compile(f"{LETTER}+ تر(?:ی|ین)?{END}")),
    ("ending detached after silent he", re.compile(f"{LETTER}*ه (?:ای|ام|ات|اش|اند|ایم|اید|ی){END}")),
    ("ezafe written ه‌ی, not هٔ", re.compile(f"{LETTER}*ه{ZWNJ}ی{END}")),
    ("Latin punctuation", re.compile(f'(?:{LETTER}|[»{CODE}])[,;?]|"')),
    ("space before punctuation", re.compile(r"\S+ [،؛؟!:.»](?=\s|$|[»)])")),
    ("space after an opening mark", re.compile(r"[«(] \S*")),
    ("no space after punctuation", re.compile(f"[،؛؟!:.](?={LETTER}){LETTER}+")),
    ("space doubled or at a line's end", re.compile(r"\S* (?: |$)", re.MULTILINE)),
    ("Latin digit", re.compile("[0-9]+")),
)
SPELLINGS = {
    "آنها": "آن‌ها", "اینها": "این‌ها", "هیچکس": "هیچ‌کس", "هیچوقت": "هیچ‌وقت", "گفتگو": "گفت‌وگو",
    "جستجو": "جست‌وجو", "بعنوان": "به‌عنوان", "بصورت": "به‌صورت", "بوسیله": "به‌وسیله", "اینکار": "این کار",
    "بلیط": "بلیت", "اطاق": "اتاق", "خوش‌حال": "خوشحال", "این‌که": "اینکه", "آن‌که": "آنکه", "آنقدر": "آن‌قدر",
    "حتما": "حتماً", "معمولا": "معمولاً", "واقعا": "واقعاً", "لطفا": "لطفاً", "اصلا": "اصلاً", "مثلا": "مثلاً",
    "تقریبا": "تقریباً", "کاملا": "کاملاً", "فعلا": "فعلاً", "بخاطر": "به‌خاطر",
}  # fmt: skip
SPELLING = re.compile(f"{START}(?:{'|'.join(SPELLINGS)}){END}")
SENTENCE_END = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bDr)[.!?؟]+[»\"]?\.?(?=\s|$)")

SIMILARITY = 0.35  # share of common 5-character pieces; the most alike pair of these texts shares 0.12
STORY_WORDS = range(60, 121)
PERSIAN_SHARE = 0.9
REPEATED_WORDS = 5  # a shorter sentence («آفرین!») may appear in many texts


@dataclass(frozen=True, slots=True)
class Least:
    """The smallest collection that passes: stories and chats in lines, `prose` in UTF-8 bytes."""

    stories: int = 30
    more_stories: int = 90
    chats: int = 150
    prose: int = 15_000


@dataclass(frozen=True, slots=True)
class Passage:
    """One text to check, with the place it came from; `compared` passages must differ from each other."""

    place: str
    text: str
    compared: bool = True


def check(folder: Path, least: Least | None = None) -> list[str]:
    """Look for faults in the sample files.

    Args:
        folder: Holds stories.jsonl, more_stories.jsonl, chats.jsonl and prose.txt.
        least: The sizes to ask for; the published sizes when left out.

    Returns:
        One sentence a fault, «file:line: reason», in the order of the files; empty when all is well.
    """
    least = least or Least()
    faults: list[str] = []
    passages: list[Passage] = []
    stories = _read(folder / "stories.jsonl", faults)
    more_stories = _read(folder / "more_stories.jsonl", faults)
    for place, line in stories + more_stories:
        passages += _check_story(place, line, faults)
    chats = _read(folder / "chats.jsonl", faults)
    for place, line in chats:
        passages += _check_chat(place, line, faults)
    prose = _read(folder / "prose.txt", faults)
    passages += [Passage(place, line) for place, line in prose]
    size = sum(len(line.encode()) + 1 for _, line in prose)
    for name, found, wanted in (
        ("stories.jsonl", len(stories), least.stories),
        ("more_stories.jsonl", len(more_stories), least.more_stories),
        ("chats.jsonl", len(chats), least.chats),
        ("prose.txt", size, least.prose),
    ):
        if found < wanted:
            faults.append(f"{name}:1: too little: {found}, at least {wanted} wanted")
    for passage in passages:
        faults += _check_persian(passage)
    compared = [passage for passage in passages if passage.compared]
    return faults + list(_find_repeated_sentences(compared)) + list(_find_lookalikes(compared))


def _read(path: Path, faults: list[str]) -> list[tuple[str, str]]:
    if not path.is_file():
        faults.append(f"{path.name}:1: the file is missing")
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [(f"{path.name}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip()]


def _parse(place: str, line: str, keys: set[str], faults: list[str]) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        faults.append(f"{place}: not JSON: {error}")
        return None
    if not isinstance(row, dict) or set(row) != keys:
        faults.append(f"{place}: wanted an object with exactly {sorted(keys)}")
        return None
    return row


def _check_story(place: str, line: str, faults: list[str]) -> list[Passage]:
    row = _parse(place, line, {"fa", "en"}, faults)
    if row is None:
        return []
    if not all(isinstance(text, str) for text in row.values()):
        faults.append(f"{place}: both languages must be texts")
        return []
    for language, text in row.items():
        words = len(text.split())
        if words not in STORY_WORDS:
            faults.append(f"{place}: {language}: {words} words, {STORY_WORDS[0]} to {STORY_WORDS[-1]} wanted")
    if _persian_share(row["en"]) > 0:
        faults.append(f"{place}: en: Persian letters in the English text")
    sentences = {language: len(SENTENCE_END.findall(text)) for language, text in row.items()}
    if sentences["fa"] != sentences["en"]:
        faults.append(f"{place}: {sentences['fa']} Persian and {sentences['en']} English sentences do not correspond")
    return [Passage(f"{place}: fa", row["fa"])]


def _check_chat(place: str, line: str, faults: list[str]) -> list[Passage]:
    row = _parse(place, line, {"messages"}, faults)
    messages = row["messages"] if row else None
    if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
        if row:
            faults.append(f"{place}: messages must be a list of objects with role and content, both texts")
        return []
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != ["user", "assistant"] * (len(turns) // 2):
        faults.append(f"{place}: roles must be an optional system, then user and assistant by turns, not {roles}")
    passages: list[Passage] = []
    for number, message in enumerate(messages, start=1):
        where = f"{place}: message {number}"
        if not message["content"].strip():
            faults.append(f"{where}: empty")
            continue
        faults += _check_code(where, message["content"])
        passages.append(Passage(where, message["content"], compared=message["role"] == "assistant"))
    return passages


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and set(message) == {"role", "content"}
        and all(isinstance(value, str) for value in message.values())
    )


def _check_code(place: str, text: str) -> Iterator[str]:
    for language, code in FENCE.findall(text):
        if not language:
            yield f"{place}: code block without a language"
        if language == "python":
            try:
                ast.parse(code)
            except SyntaxError as error:
                yield f"{place}: Python code does not parse: {error.msg}"
    if FENCE.sub("", text).count("```"):
        yield f"{place}: code fence left open"


def _check_persian(passage: Passage) -> Iterator[str]:
    text = _without_code(passage.text)
    # A translation into English is written as code and may be the whole answer.
    if any(map(str.isalpha, text)) and _persian_share(text) < PERSIAN_SHARE:
        yield f"{passage.place}: Persian is {_persian_share(text):.0%} of the letters outside code"
    for match in FOREIGN_LETTERS.finditer(text):
        yield f"{passage.place}: letter not Persian: {unicodedata.name(match[0])} in «{_around(text, match)}»"
    for match in HIDDEN.finditer(text):
        yield f"{passage.place}: hidden character U+{ord(match[0]):04X} in «{_around(text, match)}»"
    for reason, pattern in STYLE:
        for match in pattern.finditer(text):
            yield f"{passage.place}: {reason}: «{_around(text, match)}»"
    for match in SPELLING.finditer(text):
        yield f"{passage.place}: spelling: «{match[0]}», write «{SPELLINGS[match[0]]}»"


def _without_code(text: str) -> str:
    return INLINE.sub(CODE, FENCE.sub(CODE, text))


def _persian_share(text: str) -> float:
    letters = [letter for letter in text if letter.isalpha()]
    return sum("\u0600" <= letter <= "\u06ff" for letter in letters) / len(letters) if letters else 0.0


def _around(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - 8) : match.end() + 8].replace("\n", " ")


def _find_repeated_sentences(passages: list[Passage]) -> Iterator[str]:
    first: dict[str, str] = {}
    for passage in passages:
        for sentence in SENTENCE_END.split(_without_code(passage.text)):
            plain = " ".join(re.findall(f"(?:{LETTER}|{ZWNJ})+", sentence))
            if len(plain.split()) < REPEATED_WORDS:
                continue
            if plain in first:
                yield f"{passage.place}: sentence also in {first[plain]}: «{plain}»"
            first.setdefault(plain, passage.place)


def _find_lookalikes(passages: list[Passage]) -> Iterator[str]:
    pieces = [(passage.place, _pieces(passage.text)) for passage in passages]
    for (one, left), (other, right) in itertools.combinations(pieces, 2):
        union = len(left | right)
        if union and len(left & right) / union >= SIMILARITY:
            yield f"{other}: {len(left & right) / union:.0%} alike with {one}"


def _pieces(text: str) -> set[str]:
    plain = " ".join(_without_code(text).split())
    return {plain[start : start + 5] for start in range(len(plain) - 4)}


def main() -> int:
    """Print the faults of this folder; the exit status is 1 when there are any."""
    faults = check(Path(__file__).parent)
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    sys.stdout.write(f"{len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
