"""One piece of a dataset looked at by all rules: what a cleaning's processes do, each on its own piece."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from studio.data.cleaning.contamination import touches
from studio.data.cleaning.filters import Check, Rule
from studio.data.cleaning.hashing import PERMUTATIONS, hash_text, hash_words, sign
from studio.data.cleaning.pieces import Piece
from studio.data.cleaning.switches import Switches
from studio.data.persian.normalise import normalise
from studio.data.sample import Chat, Kind, Role, Sample, Text, strings
from studio.data.sentences import split_lines, split_sentences
from studio.data.stored import Group, read_group

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Checks = list[tuple[int, Check, float]]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_CHARACTERS_AT_ONCE = 500_000


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
        self.bits: list[int] = []
        self.hashes: list[int] = []
        self.characters_in: list[int] = []
        self.bytes_in: list[int] = []
        self.lengths: list[int] = []
        self.roles: list[int] = []
        self.unit_bits: list[int] = []
        self.unit_hashes: list[int] = []
        self.languages: Counter[str] = Counter()
        self.signatures: list[NDArray[np.uint32]] = []
        self.touched: list[NDArray[np.bool_]] = []

    def save(self, out: Path) -> None:
        """Write all columns into one file."""
        np.savez(
            out.with_suffix(".npz"),
            units=np.array(self.units, np.int32),
            bits=np.array(self.bits, np.uint16),
            hashes=np.array(self.hashes, np.uint64),
            characters_in=np.array(self.characters_in, np.int64),
            bytes_in=np.array(self.bytes_in, np.int64),
            lengths=np.array(self.lengths, np.int32),
            roles=np.array(self.roles, np.uint8),
            unit_bits=np.array(self.unit_bits, np.uint16),
            unit_hashes=np.array(self.unit_hashes, np.uint64),
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
    columns, gathered, waiting, suites = _Columns(), list[str](), 0, None
    checks = (_checks(task.switches.plan.documents, task.switches), _checks(task.switches.plan.units, task.switches))
    if task.judge and task.suites is not None:
        suites = np.load(task.suites)
    with task.out.with_suffix(".txt").open("wb") as texts:
        for sample in read_group(task.group, task.kind):
            units, pieces = _prepare(sample, task.switches)
            texts.write("".join(units).encode())
            columns.units.append(len(units))
            columns.lengths += map(len, units)
            said = strings(sample)
            columns.characters_in.append(sum(map(len, said)))
            columns.bytes_in.append(sum(len(text.encode()) for text in said))
            columns.roles += [ROLES.index(turn.role) for turn in sample.messages] if isinstance(sample, Chat) else []
            if task.judge:
                gathered.append(_judge(sample, pieces, checks, columns))
                waiting += len(gathered[-1])
                if waiting > _CHARACTERS_AT_ONCE:
                    _look_across(gathered, task.switches, suites, columns)
                    waiting = 0
    _look_across(gathered, task.switches, suites, columns)
    if suites is not None:
        bit = 1 << [rule.name for rule in task.switches.plan.documents].index("contamination")
        columns.bits = [bits | bit * int(hit) for bits, hit in zip(columns.bits, _joined(columns), strict=True)]
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


def _judge(sample: Sample, texts: list[str], checks: tuple[_Checks, _Checks], columns: _Columns) -> str:
    """Enter what the rules say of a document and its units; returns its text."""
    of_documents, of_units = checks
    pieces = [Piece(text) for text in texts] if of_units else []
    for piece in pieces:
        columns.unit_bits.append(_bits(piece, of_units, columns.languages) if piece.words else 0)
        columns.unit_hashes.append(hash_text(piece.text))
    if isinstance(sample, Text):
        whole = Piece("".join(texts))
        columns.hashes.append(hash_text(whole.text))
    else:
        speakers = [turn.role for turn in sample.messages] if isinstance(sample, Chat) else ["fa", "en"]
        turns = list(zip(speakers, texts, strict=True))
        whole = Piece("\n".join(texts), turns)
        # Two chats with the same turns in other roles are two chats.
        columns.hashes.append(hash_text("\0".join(part for turn in turns for part in turn)))
    columns.bits.append(_bits(whole, of_documents, columns.languages))
    return whole.text


def _bits(piece: Piece, checks: _Checks, languages: Counter[str]) -> int:
    found = 0
    for bit, check, value in checks:
        if check(piece, value):
            found |= bit
    if piece.guess is not None:
        languages[piece.guess.taken_for] += 1
    return found


def _checks(rules: tuple[Rule, ...], switches: Switches) -> _Checks:
    return [(1 << place, rule.check, switches.value(rule)) for place, rule in enumerate(rules) if rule.check]


def _look_across(
    gathered: list[str], switches: Switches, suites: NDArray[np.uint64] | None, columns: _Columns
) -> None:
    if not gathered:
        return
    words, starts = hash_words(gathered)
    columns.signatures.append(sign(words, starts))
    if suites is not None:
        rule = next(rule for rule in switches.plan.documents if rule.name == "contamination")
        columns.touched.append(touches(words, starts, suites, int(switches.value(rule))))
    gathered.clear()


def _joined(columns: _Columns) -> Any:
    return np.concatenate(columns.touched)
