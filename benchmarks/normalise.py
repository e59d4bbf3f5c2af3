"""Normalising Persian beside the same repairs as plain expressions, and beside Persian libraries that are installed.

    python -m benchmarks.normalise --corpus FILE… [--rounds 5] [--limit BYTES] [--json FILE]

Each file is plain text, whose lines are texts, or jsonl (packed or not), whose field ``text`` is. All sides get the
same texts in turn, in one process on one thread; megabytes (UTF-8 bytes of the input / 1e6) a second of the processor,
medians over the rounds, with the ratio of ours to each. Libraries are taken where they can be imported (shekar, rishe,
parsivar, hazm); they do not do the same work, so a ratio to them says what a user waits, not who is cleverer.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import statistics
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from studio.data.persian.normalise import normalise

Side = Callable[[str], str]
JOINER = "\u200c"
MAP = {ord(old): new for old, new in zip("يىكہھە٠١٢٣٤٥٦٧٨٩\u00a0", "ییکههه۰۱۲۳۴۵۶۷۸۹ ", strict=True)}
GONE = "ـ\ufeff\u200b\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SPAN = re.compile(r"```.*?```|`[^`\n]+`|https?://[^\s<>\"]+|[\w.+-]+@[\w-]+\.[\w.-]+|<[^>\n]{1,200}>", re.DOTALL)
RULES = [
    (re.compile(f"{JOINER}{{2,}}"), JOINER),
    (re.compile(f"(?<![آ-ی]){JOINER}|{JOINER}(?![آ-ی])"), ""),
    (re.compile(r" +(?=[،؛؟](?:\s|$))|(?<=[آ-ی»]) +(?=[.!:](?:\s|$))"), ""),
    (re.compile(r"([آ-ی])\1{3,}"), r"\1\1"),
    (re.compile(r"(?<=[آ-ی]) {2,3}(?=\S)"), " "),
    (
        re.compile(f"(?<![\u0600-\u06ff{JOINER}])(ن?می) (?=[آ-ی]{{1,7}}?(?:م|ی|د|یم|ید|ند)(?![\u0600-\u06ff]))"),
        rf"\1{JOINER}",
    ),
    (re.compile(f"(?<=[آ-ی]) (ها(?:ی|یی|یش)?|ترین)(?![\u0600-\u06ff{JOINER}])"), rf"{JOINER}\1"),
    (re.compile(f"(?<=[آ-ی]ه) (ای|ام|ات|اش|اند|ایم|اید)(?![\u0600-\u06ff{JOINER}])"), rf"{JOINER}\1"),
]


def plain(text: str) -> str:
    """Much the same repairs as they are commonly written: one table, and one expression after the other."""
    text = unicodedata.normalize("NFC", text)
    out, place = [], 0
    for found in SPAN.finditer(text):
        out += [_plainly(text[place : found.start()]), found[0]]
        place = found.end()
    return "".join([*out, _plainly(text[place:])])


def _plainly(text: str) -> str:
    text = text.translate(MAP | dict.fromkeys(map(ord, GONE)))
    for pattern, new in RULES:
        text = pattern.sub(new, text)
    return text


def libraries() -> Iterator[tuple[str, Side]]:
    """Those of this environment, as their makers set them."""
    try:
        from shekar import Normalizer as Shekar

        yield "shekar", Shekar()
    except ImportError:
        pass
    try:
        from rishe import Pipeline

        pipeline = Pipeline(unify_digits=False, strip_diacritics=False)
        yield "rishe", getattr(pipeline, "normalize", pipeline)
    except ImportError:
        pass
    try:
        from parsivar import Normalizer as Parsivar

        yield "parsivar", Parsivar().normalize
    except ImportError:
        pass
    try:
        from hazm import Normalizer as Hazm

        yield "hazm", Hazm().normalize
    except ImportError:
        pass


def read(path: Path, limit: int) -> list[str]:
    """The texts of a file up to `limit` bytes; 0 for all."""
    texts, size = [], 0
    with gzip.open(path, "rt", encoding="utf8") if path.suffix == ".gz" else path.open(encoding="utf8") as file:
        for line in file:
            texts.append(json.loads(line)["text"] if ".json" in path.name else line.rstrip("\n"))
            size += len(texts[-1].encode())
            if limit and size >= limit:
                break
    return texts


def measure(sides: dict[str, Side], files: list[Path], rounds: int, limit: int) -> dict[str, Any]:
    corpus = {path.name: read(path, limit) for path in files}
    sizes = {name: sum(len(text.encode()) for text in texts) / 1e6 for name, texts in corpus.items()}
    spent: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, function in sides.items():
            spent[side].append({name: _seconds(function, texts) for name, texts in corpus.items()})
    total = sum(sizes.values())
    speeds = {side: statistics.median(total / sum(one.values()) for one in all_) for side, all_ in spent.items()}
    per_file = {name: sizes[name] / statistics.median(one[name] for one in spent["ours"]) for name in corpus}
    return {
        "megabytes": total,
        "load": os.getloadavg()[0],
        "megabytes_per_second": speeds,
        "spread_of_ours": [
            total / max(sum(one.values()) for one in spent["ours"]),
            total / min(sum(one.values()) for one in spent["ours"]),
        ],
        "ratios": {side: speeds["ours"] / speed for side, speed in speeds.items() if side != "ours"},
        "ours_per_file": per_file,
    }


def _seconds(function: Side, texts: list[str]) -> float:
    start = time.process_time()
    for text in texts:
        function(text)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=0, help="bytes of each file; 0 for all")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sides: dict[str, Side] = {"ours": normalise, "plain expressions": plain, **dict(libraries())}
    found = measure(sides, given.corpus, given.rounds, given.limit)
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
