"""What a cleaning did with every row and every byte: kept, dropped by which rule, or taken away on the way."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from studio.data.cleaning.filters import Unit
from studio.data.cleaning.switches import Switches
from studio.errors import StudioError

FILE = "ledger.json"
EXAMPLES = 20
EXAMPLE_CHARACTERS = 300
NOTHING_LEFT = "nothing_left"
"""The reason of rows all of whose units were dropped; the characters stand with the rules that dropped those."""


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Amount(_Plain):
    """Rows that vanished whole, and characters and UTF-8 bytes that did; negative where something was added."""

    rows: int = 0
    characters: int = 0
    bytes: int = 0


class Example(_Plain):
    """Something that was dropped: the row of the parent it stood in (from 0) and how it begins."""

    row: int
    text: str


class Entry(Amount):
    """What one rule dropped; `units` counts what it drops as a whole, such as sentences, `share` is of the bytes."""

    rule: str
    unit: Unit
    on: bool
    value: float | None
    units: int
    share: float
    examples: list[Example]


class Ledger(_Plain):
    """The books of one cleaning. For rows, characters and bytes:

    ``in = out + sum(rules) + normalising + joining``

    Attributes:
        rules: In the order in which they drop; what several would drop counts for the first that is on.
        normalising: What normalising took away (or, below zero, added).
        joining: Blanks between and around units that were not kept.
        languages: Units or documents by the language they were taken for.
    """

    switches: Switches
    rows_in: int
    rows_out: int
    characters_in: int
    characters_out: int
    bytes_in: int
    bytes_out: int
    rules: list[Entry]
    normalising: Amount
    joining: Amount
    languages: dict[str, int]

    def difference(self) -> Amount:
        """What the books do not explain; nothing unless a mistake was made."""
        parts = [*self.rules, self.normalising, self.joining]
        return Amount(
            rows=self.rows_in - self.rows_out - sum(part.rows for part in parts),
            characters=self.characters_in - self.characters_out - sum(part.characters for part in parts),
            bytes=self.bytes_in - self.bytes_out - sum(part.bytes for part in parts),
        )

    def dropped(self) -> dict[str, dict[str, int]]:
        """Per reason what is gone, reasons without a case left out."""
        return {
            entry.rule: {
                "rows": entry.rows, "units": entry.units, "characters": entry.characters, "bytes": entry.bytes
            }
            for entry in self.rules
            if entry.units
        }  # fmt: skip


class Books:
    """Counts while a cleaning writes; `close` makes the ledger."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._sums: dict[str, Counter[str]] = {}
        self._examples: dict[str, list[Example]] = {}
        # The same examples come again from the same data.
        self._chance = random.Random(0)
        self.read: Counter[str] = Counter()
        self.normalising: Counter[str] = Counter()
        self.joining: Counter[str] = Counter()

    def drop(self, rule: str, row: int, text: str, *, whole_row: bool, shown: str | None = None) -> int:
        """Enter a dropped piece: `text` is all that goes with it, `shown` the same for eyes; returns its bytes."""
        sums = self._sums.setdefault(rule, Counter())
        sums["units"] += 1
        sums["rows"] += whole_row
        sums["characters"] += len(text)
        size = len(text.encode())
        sums["bytes"] += size
        kept = self._examples.setdefault(rule, [])
        place = len(kept) if len(kept) < EXAMPLES else self._chance.randrange(sums["units"])
        if place < EXAMPLES:
            begins = (text if shown is None else shown)[:EXAMPLE_CHARACTERS].strip()
            kept[place : place + 1] = [Example(row=row, text=begins)]
        return size

    def drop_rest(self, row: int) -> None:
        """Enter a row of which no unit is left."""
        self._sums.setdefault(NOTHING_LEFT, Counter()).update(units=1, rows=1)
        kept = self._examples.setdefault(NOTHING_LEFT, [])
        if len(kept) < EXAMPLES:
            kept.append(Example(row=row, text=""))

    def close(self, rows: int, characters: int, size: int, languages: dict[str, int]) -> Ledger:
        """The ledger of a result with so many `rows`, `characters` and bytes (`size`)."""
        switches, plan = self._switches, self._switches.plan
        units = {
            rule.name: (rule.unit, switches.is_on(rule), rule.value and switches.value(rule)) for rule in plan.rules
        }
        if plan.units:
            units[NOTHING_LEFT] = ("document", True, None)
        rules = []
        for name, (unit, on, value) in units.items():
            sums = self._sums.get(name, Counter())
            rules.append(
                Entry(
                    rule=name,
                    unit=unit,
                    on=on,
                    value=value,
                    rows=sums["rows"],
                    units=sums["units"],
                    characters=sums["characters"],
                    bytes=sums["bytes"],
                    share=sums["bytes"] / self.read["bytes"] if self.read["bytes"] else 0.0,
                    examples=sorted(self._examples.get(name, []), key=lambda example: example.row),
                )
            )
        return Ledger(
            switches=switches,
            rows_in=self.read["rows"],
            rows_out=rows,
            characters_in=self.read["characters"],
            characters_out=characters,
            bytes_in=self.read["bytes"],
            bytes_out=size,
            rules=rules,
            normalising=Amount(characters=self.normalising["characters"], bytes=self.normalising["bytes"]),
            joining=Amount(characters=self.joining["characters"], bytes=self.joining["bytes"]),
            languages=languages,
        )


def read_ledger(folder: Path) -> Ledger | None:
    """The ledger of a dataset that a cleaning made, None for any other.

    Raises:
        StudioError: ``data.dataset_damaged``.
    """
    if not (folder / FILE).exists():
        return None
    try:
        return Ledger.model_validate_json((folder / FILE).read_text(encoding="utf8"))
    except (OSError, ValidationError) as error:
        raise StudioError("data.dataset_damaged", name=folder.name) from error
