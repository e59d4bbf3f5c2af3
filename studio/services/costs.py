"""What a run cost: time, energy, the carbon dioxide of that energy, and money by the owner's own prices.

What nobody counted is None, never 0: a report says so in words.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from studio import workspace
from studio.auth import owner_only
from studio.errors import StudioError
from studio.publish.cards.facts import WORLD_INTENSITY
from studio.services.studio import Studio

LONGEST_CURRENCY = 12
_JOULES_PER_KWH = 3.6e6
_COUNTRY = re.compile("[A-Z]{3}")
_COUNTRIES = Path("data") / "private_infra" / "global_energy_mix.json"

Origin = Literal["own", "codecarbon", "world"]


@dataclass(frozen=True, slots=True)
class Prices:
    """What the owner pays, and how clean the electricity is; None is not known.

    `hour` is of the device and `kwh` of electricity, both in `currency`; `grams` are of CO₂ per kWh. `country` is
    three letters as in ISO 3166, for codecarbon's figure where `grams` are not given.
    """

    hour: float | None = None
    kwh: float | None = None
    currency: str = ""
    grams: float | None = None
    country: str = ""


@dataclass(frozen=True, slots=True)
class Intensity:
    """Grams of CO₂ per kWh, and whose figure that is."""

    grams: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took.

    `at_least` says that the run was interrupted, and `seconds` are those of its steps. `source` is how the energy was
    counted; `carbon` are grams of CO₂.
    """

    seconds: float | None
    at_least: bool
    joules: float | None
    source: str | None
    intensity: Intensity
    prices: Prices

    @property
    def carbon(self) -> float | None:
        return None if self.joules is None else self.joules / _JOULES_PER_KWH * self.intensity.grams

    @property
    def of_time(self) -> float | None:
        """Money for the device's hours; None without a price or a time."""
        known = self.prices.hour is not None and self.seconds is not None
        return self.prices.hour * self.seconds / 3600 if known else None  # type: ignore[operator]

    @property
    def of_energy(self) -> float | None:
        """Money for electricity; None without a price or a count."""
        known = self.prices.kwh is not None and self.joules is not None
        return self.prices.kwh * self.joules / _JOULES_PER_KWH if known else None  # type: ignore[operator]

    @property
    def has_price(self) -> bool:
        """Whether the owner has set any."""
        return self.prices.hour is not None or self.prices.kwh is not None

    @property
    def money(self) -> float | None:
        """All that has a price; None if one of it could not be told, since the rest alone would be too little."""
        asked = [(self.prices.hour, self.of_time), (self.prices.kwh, self.of_energy)]
        parts = [part for price, part in asked if price is not None]
        known = [part for part in parts if part is not None]
        return sum(known) if known and len(known) == len(parts) else None


@owner_only
def prices(studio: Studio) -> Prices:
    """What the owner has set; nothing is known before.

    Raises:
        StudioError: ``prices.broken`` for a file that was edited by hand and cannot be read.
    """
    path = studio.settings.prices
    if not path.is_file():
        return Prices()
    try:
        return _checked(Prices(**json.loads(path.read_text(encoding="utf8"))))
    except (ValueError, TypeError, AttributeError) as error:
        raise StudioError("prices.broken", file=str(path)) from error


@owner_only
def set_prices(studio: Studio, wanted: Prices) -> Prices:
    """Keep these from now on; reports of earlier runs take them too.

    Raises:
        StudioError: ``prices.not_a_price`` for a negative or endless number, ``prices.no_currency``,
            ``prices.no_codecarbon`` for a country where it is not installed, ``prices.no_such_country``.
    """
    country = wanted.country.strip().upper()
    found = _checked(Prices(wanted.hour, wanted.kwh, " ".join(wanted.currency.split()), wanted.grams, country))
    if country and codecarbon_countries() is None:
        raise StudioError("prices.no_codecarbon", country=country)
    if country and country_intensity(country) is None:
        raise StudioError("prices.no_such_country", country=country)
    path = studio.settings.prices
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(asdict(found), ensure_ascii=False), encoding="utf8")
        aside.replace(path)
    except OSError as error:
        raise workspace.disk_error(error, path.parent) from error
    return found


def _checked(wanted: Prices) -> Prices:
    for name in ("hour", "kwh", "grams"):
        value = getattr(wanted, name)
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise StudioError("prices.not_a_price", value=str(value))
    if (wanted.hour is not None or wanted.kwh is not None) and not wanted.currency:
        raise StudioError("prices.no_currency")
    if len(wanted.currency) > LONGEST_CURRENCY or not (wanted.currency + "a").isprintable():
        raise StudioError("prices.bad_currency", limit=LONGEST_CURRENCY)
    return wanted


def cost(found: Prices, seconds: float | None, joules: float | None, source: str | None, *, at_least: bool) -> Cost:
    """Put together what a run took; energy of 0 is an estimate that had not begun yet, and so not known."""
    return Cost(seconds, at_least, joules if joules else None, source, intensity(found), found)


def intensity(found: Prices) -> Intensity:
    """The owner's figure, else codecarbon's of the country, else the world's."""
    if found.grams is not None:
        return Intensity(found.grams, "own")
    known = country_intensity(found.country) if found.country else None
    return Intensity(WORLD_INTENSITY, "world") if known is None else Intensity(known, "codecarbon")


def country_intensity(country: str) -> float | None:
    """codecarbon's grams of CO₂ per kWh in a country; None where it is not installed or does not know."""
    told = (codecarbon_countries() or {}).get(country, {}).get("carbon_intensity")
    return float(told) if told is not None else None


def codecarbon_countries() -> dict[str, Any] | None:
    """codecarbon's table of countries, read without importing it (pandas alone takes a second); None without it."""
    found = importlib.util.find_spec("codecarbon")
    places = found.submodule_search_locations if found is not None else None
    return _countries(Path(places[0]) / _COUNTRIES) if places else None


@cache
def _countries(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):  # another version may keep it elsewhere
        return None
    return found


def as_json(found: Cost) -> dict[str, Any]:
    """What ``report --json`` says; null is not known, and money is null without a price."""
    return {
        "seconds": found.seconds,
        "at_least": found.at_least,
        "energy_joules": found.joules,
        "energy_source": found.source,
        "co2_grams": found.carbon,
        "grams_per_kwh": found.intensity.grams,
        "grams_per_kwh_source": found.intensity.origin,
        "country": found.prices.country or None,
        "price_per_hour": found.prices.hour,
        "price_per_kwh": found.prices.kwh,
        "currency": found.prices.currency or None,
        "money_for_time": found.of_time,
        "money_for_energy": found.of_energy,
        "money": found.money,
    }
