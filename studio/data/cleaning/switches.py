"""What a user chose of a cleaning: the preset, which rules are on, and their thresholds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from studio.data.cleaning.filters import PLANS, Plan, Preset, Rule
from studio.data.sample import Kind
from studio.errors import StudioError

NORMALISE = "normalise"
_WORDS = {"on": True, "off": False}
FITTING: dict[Kind, tuple[Preset, ...]] = {
    "text": ("llama_persian", "documents"),
    "chat": ("chats",),
    "pair": ("pairs",),
}
"""The presets that serve each kind of dataset, the default first."""


class Switches(BaseModel):
    """Choices that travel through jobs and manifests.

    Attributes:
        normalise: Whether texts are stored normalised; rules look at normalised text in any case.
        off: Rules that drop nothing.
        values: Thresholds by rule, for every rule that has one.
        against: Hashes of the evaluation files, empty without any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Preset
    normalise: bool = True
    off: frozenset[str] = frozenset()
    values: dict[str, float] = {}
    against: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        return PLANS[self.preset]

    def is_on(self, rule: Rule) -> bool:
        """Whether a rule drops what it finds."""
        return rule.name not in self.off and (rule.name != "contamination" or bool(self.against))

    def value(self, rule: Rule) -> float:
        """The threshold of a rule; 0 for one that has none."""
        return self.values.get(rule.name, rule.value or 0.0)

    def measured_alike(self, other: Switches) -> bool:
        """Whether what `other` found out about each piece serves here too: only switches differ."""
        return self.model_copy(update={"off": other.off}) == other


def choose(
    kind: Kind, preset: str | None = None, choices: Sequence[str] = (), against: Sequence[str] = ()
) -> Switches:
    """Switches for a dataset of `kind`; by default the preset that fits it, with its rules on.

    Args:
        kind: Kind of the dataset.
        preset: One of `PLANS`.
        choices: ``RULE=on``, ``RULE=off`` or ``RULE=NUMBER``; also ``normalise=off``.
        against: Hashes of evaluation files.

    Raises:
        StudioError: ``clean.no_such_preset``, ``clean.preset_kind``, ``clean.bad_choice``,
            ``clean.no_such_rule`` or ``clean.bad_value``.
    """
    chosen = next((name for name in PLANS if name == preset), None) if preset else FITTING[kind][0]
    if chosen is None:
        raise StudioError("clean.no_such_preset", preset=preset, presets=", ".join(PLANS))
    if chosen not in FITTING[kind]:
        raise StudioError("clean.preset_kind", preset=chosen, presets=", ".join(FITTING[kind]))
    rules = {rule.name: rule for rule in PLANS[chosen].rules}
    switched = {name: False for name, rule in rules.items() if not rule.on}
    values = {name: float(rule.value) for name, rule in rules.items() if rule.value is not None}
    for choice in choices:
        name, equals, said = (part.strip() for part in choice.partition("="))
        if not equals:
            raise StudioError("clean.bad_choice", choice=choice)
        if name not in rules and name != NORMALISE:
            raise StudioError("clean.no_such_rule", rule=name, rules=", ".join([NORMALISE, *rules]))
        if said in _WORDS:
            switched[name] = _WORDS[said]
        else:
            values[name] = _number(name, said, rules.get(name))
            switched[name] = True
    return Switches(
        preset=chosen,
        normalise=switched.pop(NORMALISE, True),
        off=frozenset(name for name, on in switched.items() if not on),
        values=values,
        against=tuple(against),
    )


def hash_file(file: Path) -> str:
    """By what an evaluation file is remembered: its content, wherever it lies.

    Raises:
        OSError: If it cannot be read.
    """
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def _number(name: str, said: str, rule: Rule | None) -> float:
    try:
        value = float(said)
    except ValueError:
        value = -1.0
    if rule is None or rule.value is None:
        raise StudioError("clean.bad_value", rule=name, value=said, bounds="on, off")
    if isinstance(rule.value, int):
        bounds, fits = "1…10000", 1 <= value <= 10_000 and value.is_integer()
    elif rule.value <= 1:
        bounds, fits = "0…1", 0 < value <= 1
    else:
        bounds, fits = "1…100", 1 <= value <= 100
    if not fits:
        raise StudioError("clean.bad_value", rule=name, value=said, bounds=f"on, off, {bounds}")
    return value
