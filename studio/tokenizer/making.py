"""Making a vocabulary: from a base and a corpus to a folder, and the figures that say what it is worth."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.memory import peak_memory
from studio.tokenizer.apart import Apart, plain_words, train_bytes, train_sentencepiece
from studio.tokenizer.corpus import Part, blocks, read_block
from studio.tokenizer.counting import START, Block, Counts, count_words
from studio.tokenizer.cutting import cut_words
from studio.tokenizer.expand import Watch, count_corpus, learn
from studio.tokenizer.export import extend
from studio.tokenizer.families import Family, read_family
from studio.tokenizer.report import count_changed, count_unreachable, load
from studio.tokenizer.rivals import append_apart
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import Method, Vocabulary, check_out, write_vocabulary

_LEARNING = "progress.vocabulary.merge"


def make(
    folder: Path,
    parts: Sequence[Part],
    size: int,
    out: Path,
    *,
    method: Method = "continued",
    script: str = "arabic",
    reference: str,
    english: Iterable[str],
    watch: Watch,
    workers: int | None = None,
    at_most: bool = False,
) -> dict[str, Any]:
    """Learn `size` pieces for the tokenizer in `folder` and write the extended one to `out`.

    Args:
        folder: Tokenizer files are enough.
        parts: The corpus.
        size: New pieces; with ``independent`` and ``add_tokens`` the pieces of the vocabulary trained apart.
        out: New folder.
        method: ``continued``, or what papers did, for comparison.
        script: Unicode script that every new piece touches.
        reference: What the base is called.
        english: Lines that ought to keep their ids, for the figures.
        watch: Told of progress.
        workers: Processes that count; by default one for each core.
        at_most: Take as many pieces as there are where `size` cannot be learned, instead of refusing.

    Returns:
        ``seconds``, ``peak_memory_bytes`` and the figures of `figures`.

    Raises:
        StudioError: ``vocabulary.*``, ``model.*``, ``data.*``, ``job.stopped``, ``disk.full``.
    """
    start = time.perf_counter()
    target = find_script(script)
    check_out(out)
    read_family(folder)  # refuses before the corpus is read, and is not held meanwhile
    counts = count_corpus(parts, target, watch, workers=workers)
    counting = peak_memory() + counts.beside  # those processes are gone before this one holds most
    family = read_family(folder)
    if method == "continued":
        vocabulary = learn(family, counts, size, target, watch, reference=reference)
        counts.types.clear()  # two tokenizers are loaded next
        _check_added(vocabulary.added, size, at_most)
        definition = extend(family.definition, vocabulary.extension)
        found = _figures(family, definition, vocabulary, english) | _from_curve(vocabulary)
    else:
        apart = _train_apart(family, parts, size, watch, workers)
        vocabulary, definition = append_apart(family, apart, target, method, reference=reference)
        watch.tick(0.9, _LEARNING)
        found = _figures(family, definition, vocabulary, english) | _spent(family, definition, vocabulary, counts)
    corpus = [part.path.name if part.dataset else str(part.path) for part in parts]
    write_vocabulary(family, vocabulary.model_copy(update={"corpus": corpus}), out, definition)
    about = {"out": str(out), "method": method, "overlap": vocabulary.overlap}
    spent = {"seconds": time.perf_counter() - start, "peak_memory_bytes": max(counting, peak_memory())}
    return spent | found | about


def _check_added(added: int, size: int, at_most: bool) -> None:
    if added == 0 and at_most:
        raise StudioError("vocabulary.nothing_new")
    if added < size and not at_most:
        raise StudioError("vocabulary.too_large", size=size, available=added)


def _figures(
    family: Family, definition: dict[str, Any], vocabulary: Vocabulary, english: Iterable[str]
) -> dict[str, Any]:
    before, after = load(family.definition), load(definition)
    changed, checked = count_changed(before, after, english)
    return {
        "added": vocabulary.added,
        "base_vocabulary": vocabulary.base_vocabulary,
        "total_vocabulary": vocabulary.base_vocabulary + vocabulary.added,
        "curve": vocabulary.curve,
        "unreachable": count_unreachable(after, vocabulary),
        "english_changed": changed,
        "english_checked": checked,
    }


def _from_curve(vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "base_tokens_per_word": vocabulary.curve[0] / vocabulary.words,
        "tokens_per_word": vocabulary.curve[-1] / vocabulary.words,
        "unused_share": vocabulary.unused / max(1, vocabulary.added),
    }


def _spent(family: Family, definition: dict[str, Any], vocabulary: Vocabulary, counts: Counts) -> dict[str, Any]:
    """Tokens per word of the corpus before and after, for a vocabulary that has no curve."""
    old = cut_words(load(family.definition), counts.types)
    new = cut_words(load(definition), counts.types)
    words = counts.target - counts.forgotten
    used = {place for word in new for place in word if place >= vocabulary.first}
    return {
        "base_tokens_per_word": sum(len(word) * count for word, count in old.items()) / words,
        "tokens_per_word": sum(len(word) * count for word, count in new.items()) / words,
        "unused_share": 1 - len(used) / max(1, vocabulary.added),
    }


def _train_apart(family: Family, parts: Sequence[Part], size: int, watch: Watch, workers: int | None) -> Apart:
    if family.kind == "byte_level":
        return train_bytes(family, _texts(blocks(parts), watch), size)
    counts = count_words(blocks(parts), "", workers=workers, tick=lambda done: watch.tick(0.5, _LEARNING))
    return train_sentencepiece(plain_words(counts.types), size)


def _texts(found: Iterable[Block], watch: Watch) -> Iterator[str]:
    for block in found:
        watch.tick(0.5, _LEARNING)
        yield read_block(block).replace(START, b"").decode("utf8", "ignore")
