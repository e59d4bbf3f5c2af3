"""The table of docs/vocabulary.md: continued BPE beside what others do, at equal sizes, on text that none has seen.

    python -m benchmarks.vocabulary_table --corpus FILE --held FILE --english FILE --model NAME=DIR… [--into FILE]

Text files, one text to a line. Lines of `--held` that stand in the corpus are left out, and those without the script.
Each method gets the same number of new ids: of a vocabulary trained apart the first that the base lacks.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shlex
import sys
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from studio.tokenizer.apart import Apart, plain_words, train_bytes, train_sentencepiece
from studio.tokenizer.counting import START, count_words, spans
from studio.tokenizer.expand import Watch, learn
from studio.tokenizer.export import extend
from studio.tokenizer.families import PREFIX, Family, read_family
from studio.tokenizer.report import Report, measure
from studio.tokenizer.rivals import append_apart
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import Vocabulary

SCRIPT = find_script()
QUIET = Watch(lambda share, note: None, lambda: False)
METHODS = {
    "continued": "ours",
    "same_split": "apart, our words",
    "independent": "apart, as published",
    "add_tokens": "`add_tokens`",
}
BEGIN, END = "<!-- table: made by benchmarks/vocabulary_table.py -->", "<!-- end of table -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One tokenizer of the table."""

    model: str
    method: str
    size: int
    report: Report


@dataclass(frozen=True, slots=True)
class Texts:
    """What is learned from and measured on."""

    corpus: tuple[Path, ...]
    held: list[str]
    english: list[str]
    seen: int


def read_texts(corpus: Sequence[Path], held: Path, english: Path) -> Texts:
    known = {hash(line.strip()) for path in corpus for line in path.open(encoding="utf8")}
    lines = [line.strip() for line in held.open(encoding="utf8")]
    wanted = [line for line in lines if SCRIPT.touches(line)]
    fresh = [line for line in wanted if hash(line) not in known]
    return Texts(
        tuple(corpus),
        fresh,
        [line.rstrip("\n") for line in english.open(encoding="utf8") if line.strip()],
        len(wanted) - len(fresh),
    )


def compare(name: str, folder: Path, texts: Texts, sizes: Sequence[int], known: Container[str]) -> Iterator[Row]:
    """All methods but the `known` ones on one base; the largest size is trained once and cut for the others."""
    family = read_family(folder)
    for method in METHODS:
        if method in known:
            continue
        for record, definition in _made(family, texts, method, sizes):
            report = measure(family, definition, record, texts.held, texts.english)
            print(name, method, record.added, report, file=sys.stderr, flush=True)
            yield Row(name, method, record.added, report)


def _made(
    family: Family, texts: Texts, method: str, sizes: Sequence[int]
) -> Iterator[tuple[Vocabulary, dict[str, Any]]]:
    if method == "continued":
        whole = learn(family, _target(texts.corpus), max(sizes), SCRIPT, QUIET, reference="base")
        for size in sizes:
            smaller = whole.first_pieces(size)
            yield smaller, extend(family.definition, smaller.extension)
        return
    train = train_on_our_words if method == "same_split" else train_as_published
    apart = _enough(family, max(sizes), lambda size: train(family, texts.corpus, size))
    for size in sizes:
        yield _appended(family, apart, "add_tokens" if method == "add_tokens" else "independent", size)


def _appended(family: Family, apart: Apart, method: Any, size: int) -> tuple[Vocabulary, dict[str, Any]]:
    return append_apart(family, apart, SCRIPT, method, reference="base", most=size)


def _enough(family: Family, size: int, train: Any) -> Apart:
    """A vocabulary so large that the base lacks `size` of its pieces, also as the texts that `add_tokens` takes."""
    asked = size + size // 4
    while True:
        apart: Apart = train(asked)
        record, _ = _appended(family, apart, "add_tokens", size)
        if record.added == size or len(apart.pieces) < asked:
            return apart
        asked = asked * 8 // 5


@cache
def _target(corpus: tuple[Path, ...]) -> Any:
    return count_words((span for path in corpus for span in spans(path)), SCRIPT.found.pattern)


@cache
def _all_words(corpus: tuple[Path, ...]) -> dict[str, int]:
    return plain_words(count_words((span for path in corpus for span in spans(path)), "").types)


@cache
def _published(corpus: tuple[Path, ...], size: int) -> Apart:
    return train_sentencepiece(_all_words(corpus), size)


@cache
def _on_parts(corpus: tuple[Path, ...], size: int) -> Apart:
    """SentencePiece on what our rule divides words into: stretches of letters with their space, else characters."""
    parts: dict[str, int] = {}
    divide = re.compile(f"{PREFIX}?(?:{SCRIPT.word.pattern})|.")
    for word, count in plain_words(_target(corpus).types).items():
        for part in divide.findall(PREFIX + word):
            parts[part] = parts.get(part, 0) + count
    return train_sentencepiece(
        parts,
        size,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        split_by_unicode_script=False,
        max_sentencepiece_length=17,
    )


def train_as_published(family: Family, corpus: tuple[Path, ...], size: int) -> Apart:
    """On the corpus as it is, by SentencePiece's defaults or with the base's own splitting."""
    if family.kind == "byte_fallback":
        return _published(corpus, size)
    return train_bytes(family, (line for path in corpus for line in path.open(encoding="utf8")), size)


def train_on_our_words(family: Family, corpus: tuple[Path, ...], size: int) -> Apart:
    """On the words that continued BPE learns from, divided as it divides them; only the learning differs."""
    if family.kind == "byte_fallback":
        return _on_parts(corpus, size)
    words = ((word, count) for word, count in _target(corpus).types.items())
    return train_bytes(family, (text for word, count in words for text in _repeated(word, count)), size)


def _repeated(word: bytes, count: int) -> Iterator[str]:
    text = word.removeprefix(START).decode("utf8", "ignore")
    if word.startswith(START):
        yield from [text] * count
    else:
        yield f" {text}" * count


def markdown(rows: Sequence[Row], texts: Texts, command: str) -> str:
    size = sum(path.stat().st_size for path in texts.corpus)
    words = sum(len(line.split()) for line in texts.held)
    found = [
        f"Corpus: {size:,} bytes. Held-out Persian: {len(texts.held):,} lines, {words:,} words, no line of which is "
        f"in the corpus ({texts.seen:,} were and are left out). English: {len(texts.english):,} lines. "
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}.",
        f"```\n{command}\n```",
    ]
    for model in dict.fromkeys(row.model for row in rows):
        mine = [row for row in rows if row.model == model]
        base = mine[0].report.base_tokens_per_word
        found.append(f"### {model}\n\nThe base spends {base:.3f} tokens on a word.")
        lines = [
            "| new ids | method | tokens per word | of the base's | English lines changed | out of reach | unused |"
        ]
        lines.append("|--:|---|--:|--:|--:|--:|--:|")
        for row in sorted(mine, key=lambda row: (row.size, list(METHODS).index(row.method))):
            lines.append(_line(row))
        found.append("\n".join(lines))
    return "\n\n".join(found)


def _line(row: Row) -> str:
    report = row.report
    share = report.tokens_per_word / report.base_tokens_per_word
    cells = [
        f"{row.size:,}",
        METHODS[row.method],
        f"{report.tokens_per_word:.3f}",
        f"{share:.0%}",
        f"{report.english_changed:,} of {report.english_checked:,}",
        f"{report.unreachable:,}",
        f"{report.unused_share:.1%}",
    ]
    if row.method == "continued":
        cells = [f"**{cell}**" for cell in cells]
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Cores and processor."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "a processor")
    return f"{os.cpu_count()} cores of {name}"


def put_into(page: Path, table: str) -> None:
    text = page.read_text(encoding="utf8")
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}", encoding="utf8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--held", type=Path, required=True)
    parser.add_argument("--english", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000, 10_000, 20_000])
    parser.add_argument("--into", type=Path, help="page whose table is replaced; else it is printed")
    parser.add_argument("--json", type=Path, help="rows; methods that are in it already are not measured again")
    given = parser.parse_args()
    texts = read_texts(given.corpus, given.held, given.english)
    rows = _rows(given.json) if given.json and given.json.is_file() else []
    for model in given.model:
        name, folder = model.split("=", 1)
        known = {row.method for row in rows if row.model == name}
        for row in compare(name, Path(folder), texts, sorted(given.sizes), known):
            rows.append(row)
            if given.json:
                given.json.write_text(json.dumps([dataclasses.asdict(each) for each in rows], indent=1) + "\n")
    command = "python -m benchmarks.vocabulary_table " + shlex.join(_short(sys.argv[1:]))
    table = markdown(rows, texts, command)
    if given.into:
        put_into(given.into, table)
    else:
        print(table)


def _rows(path: Path) -> list[Row]:
    return [Row(**each | {"report": Report(**each["report"])}) for each in json.loads(path.read_text())]


def _short(arguments: Sequence[str]) -> list[str]:
    """The command without the folders of this machine."""
    return [
        "=".join(Path(part).name if "/" in part else part for part in each.split("=")) if "/" in each else each
        for each in arguments
    ]


if __name__ == "__main__":
    main()
