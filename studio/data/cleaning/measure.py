"""One piece of a dataset looked at by all rules: what a cleaning's processes do, each on its own piece."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.data.cleaning.contamination import touches
from studio.data.cleaning.crowd import Crowd, Spans
from studio.data.cleaning.filters import Rule
from studio.data.cleaning.hashing import PERMUTATIONS, hash_text, sign
from studio.data.cleaning.pieces import Piece
from studio.data.cleaning.switches import Switches
from studio.data.persian.normalise import normalise
from studio.data.sample import Chat, Kind, Role, Sample, Text, strings
from studio.data.sentences import split_lines, split_sentences
from studio.data.stored import Group, read_group

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_CHARACTERS_AT_ONCE = 250_000
_WRITTEN_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Task:
    """A piece to look at; `out` is the path of its results without an ending, `suites` the file of `read_suites`.

    Without `judge` only the texts are prepared: what rules found is known from an earlier cleaning.
    """

    group: Group
    kind: Kind
    switches: Switches
    out: Path
    suites: Path | None
    judge: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """What one piece holds; the rest is in files beside `Task.out`."""

    task: Task
    documents: int
    units: int
    bytes_in: int
    languages: Counter[str]


class _Columns:
    """Findings of one piece, column by column."""

    def __init__(self) -> None:
        self.units: list[int] = []
        self.bits: list[NDArray[np.uint16]] = []
        self.hashes: list[NDArray[np.uint64]] = []
        self.characters_in: list[int] = []
        self.bytes_in: list[int] = []
        self.bytes_stored: list[int] = []
        self.lengths: list[int] = []
        self.roles: list[int] = []
        self.unit_bits: list[NDArray[np.uint16]] = []
        self.unit_hashes: list[NDArray[np.uint64]] = []
        self.languages: Counter[str] = Counter()
        self.signatures: list[NDArray[np.uint32]] = []

    def save(self, out: Path) -> None:
        """Write all columns into one file."""
        np.savez(
            out.with_suffix(".npz"),
            units=np.array(self.units, np.int32),
            bits=_joined(self.bits, np.uint16),
            hashes=_joined(self.hashes, np.uint64),
            characters_in=np.array(self.characters_in, np.int64),
            bytes_in=np.array(self.bytes_in, np.int64),
            bytes_stored=np.array(self.bytes_stored, np.int64),
            lengths=np.array(self.lengths, np.int32),
            roles=np.array(self.roles, np.uint8),
            unit_bits=_joined(self.unit_bits, np.uint16),
            unit_hashes=_joined(self.unit_hashes, np.uint64),
            signatures=np.concatenate(self.signatures or [np.zeros((0, PERMUTATIONS), np.uint32)]),
        )


def measure(task: Task) -> Measured:
    """Normalise, cut and judge one piece; the texts go to ``out.txt`` and the findings to ``out.npz``."""
    # A piece makes millions of small objects and no cycle: looking for some took a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _measure(task)
    finally:
        if collecting:
            gc.enable()


def _measure(task: Task) -> Measured:
    columns, gathered, waiting, suites = _Columns(), list[_Gathered](), 0, None
    if task.judge and task.suites is not None:
        suites = np.load(task.suites)
    with task.out.with_suffix(".txt").open("wb", _WRITTEN_AT_ONCE) as texts:
        for sample in read_group(task.group, task.kind):
            units, judged = _prepare(sample, task.switches)
            stored = "".join(units).encode()
            texts.write(stored)
            columns.bytes_stored.append(len(stored))
            columns.units.append(len(units))
            columns.lengths += map(len, units)
            said = strings(sample)
            columns.characters_in.append(sum(map(len, said)))
            columns.bytes_in.append(sum(len(text.encode()) for text in said))
            columns.roles += [ROLES.index(turn.role) for turn in sample.messages] if isinstance(sample, Chat) else []
            if task.judge:
                gathered.append(_gather(sample, judged))
                waiting += len(gathered[-1].text)
                if waiting > _CHARACTERS_AT_ONCE:
                    _judge(gathered, task.switches, suites, columns)
                    waiting = 0
    _judge(gathered, task.switches, suites, columns)
    columns.save(task.out)
    return Measured(task, len(columns.units), len(columns.lengths), sum(columns.bytes_in), columns.languages)


def _prepare(sample: Sample, switches: Switches) -> tuple[list[str], list[str]]:
    """The units as they are stored, and the same as rules see them."""
    said = strings(sample)
    if switches.normalise:
        said = tuple(normalise(text) for text in said)
    if switches.plan.unit in ("turn", "side"):
        units = list(said)
    else:
        units = (split_sentences if switches.plan.unit == "sentence" else split_lines)(said[0])
    return units, units if switches.normalise else [normalise(unit) for unit in units]


@dataclass(frozen=True, slots=True)
class _Gathered:
    """A document as rules see it: its text, the lengths of its units, of a chat who says what, and its `hash_text`."""

    text: str
    lengths: list[int]
    turns: Sequence[tuple[str, str]] = ()
    hash: int = 0


def _gather(sample: Sample, texts: list[str]) -> _Gathered:
    if isinstance(sample, Text):
        return _Gathered("".join(texts), list(map(len, texts)))
    speakers: list[str] = [turn.role for turn in sample.messages] if isinstance(sample, Chat) else ["fa", "en"]
    turns = list(zip(speakers, texts, strict=True))
    # Two chats with the same turns in other roles are two chats.
    return _Gathered("\n".join(texts), [], turns, hash_text("\0".join(part for turn in turns for part in turn)))


def _judge(
    gathered: list[_Gathered], switches: Switches, suites: NDArray[np.uint64] | None, columns: _Columns
) -> None:
    """Enter what the rules say of documents and their units."""
    if not gathered:
        return
    crowd, plan = Crowd([document.text for document in gathered]), switches.plan
    documents = Spans(crowd, crowd.starts[:-1], crowd.starts[1:] - 1)
    if plan.units:
        units = _cut(crowd, [document.lengths for document in gathered])
        wordless = units.word_counts == 0
        columns.unit_bits.append(_bits(units, plan.units, switches, columns.languages, wordless))
        columns.unit_hashes.append(units.hashes())
    chats = [document.turns for document in gathered] if plan.unit in ("turn", "side") else None
    columns.bits.append(_bits(documents, plan.documents, switches, columns.languages, None, chats))
    hashes = np.array([document.hash for document in gathered], np.uint64) if chats else documents.hashes()
    columns.hashes.append(hashes)
    words, starts = crowd.words()
    columns.signatures.append(sign(words, starts))
    if suites is not None:
        rule = next(rule for rule in switches.plan.documents if rule.name == "contamination")
        touched = touches(words, starts, suites, int(switches.value(rule))).astype(np.uint16)
        columns.bits[-1] |= touched << plan.documents.index(rule)
    gathered.clear()


def _cut(crowd: Crowd, lengths: list[list[int]]) -> Spans:
    """The units of all documents, given by their lengths."""
    flat = np.fromiter(chain.from_iterable(lengths), np.int64)
    # Each document before has a line end behind it.
    shift = np.repeat(np.arange(len(lengths)), np.fromiter(map(len, lengths), np.int64, len(lengths)))
    ends = np.cumsum(flat) + shift
    return Spans(crowd, ends - flat, ends)


def _bits(
    spans: Spans,
    rules: tuple[Rule, ...],
    switches: Switches,
    languages: Counter[str],
    spared: NDArray[np.bool_] | None = None,
    chats: Sequence[Sequence[tuple[str, str]]] | None = None,
) -> NDArray[np.uint16]:
    """For each piece one bit for each rule that would drop it; those `spared` are not judged."""
    found, seen = np.zeros(len(spans.begins), np.uint16), dict[int, Piece]()
    for number, rule in enumerate(rules):
        if rule.check is None:
            continue
        value = switches.value(rule)
        held = np.ones(len(found), bool) if rule.sieve is None else rule.sieve(spans, value)
        if spared is not None:
            held &= ~spared
        if rule.exact:
            found |= held.astype(np.uint16) << number
            continue
        for place in np.flatnonzero(held).tolist():
            if (piece := seen.get(place)) is None:
                piece = seen[place] = Piece(spans.text(place), chats[place] if chats else ())
            if rule.name == "language":
                piece.guess = spans.guesses.get(place)
            found[place] |= rule.check(piece, value) << number
        if rule.name == "language":
            asked = {place: piece.guess for place, piece in seen.items() if piece.guess is not None}
            asked = spans.guesses | asked
            languages.update(guess.taken_for for guess in asked.values())
            languages["fa"] += len(held) - len(asked) - (0 if spared is None else int(np.count_nonzero(spared)))
    return found


def _joined(parts: list[Any], kind: type[np.generic]) -> Any:
    return np.concatenate(parts) if parts else np.zeros(0, kind)
