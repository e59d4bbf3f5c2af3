"""The cost of a run in words, for pages and for Markdown: figure, label, and where it comes from."""

from __future__ import annotations

from studio.i18n import duration_text, energy_text, number, say
from studio.services.costs import Cost

Line = tuple[str, str, str]
_LEAST_WATT_HOURS = 0.05
_LEAST_MONEY = 0.01


def cost_lines(locale: str, found: Cost) -> list[Line]:
    """Time, energy, carbon dioxide, and money where there is a price."""
    return [
        *_time(locale, found),
        _energy(locale, found),
        _carbon(locale, found),
        *([_money(locale, found)] if found.has_price else []),
    ]


def _time(locale: str, found: Cost) -> list[Line]:
    if found.seconds is None:
        return [(say(locale, "cost.unknown"), say(locale, "report.seconds"), "")]
    note = say(locale, "cost.interrupted") if found.at_least else ""
    return [(duration_text(locale, found.seconds), say(locale, "report.seconds"), note)]


def _energy(locale: str, found: Cost) -> Line:
    label = say(locale, "train.figure.energy")
    if found.joules is None:
        return say(locale, "cost.unknown"), label, say(locale, "cost.energy_unknown")
    least = 3600 * _LEAST_WATT_HOURS
    shown = energy_text(locale, max(found.joules, 2 * least))
    if found.joules < least:
        shown = say(locale, "cost.less_than", value=shown)
    return shown, label, say(locale, f"train.energy.{found.source}")


def _carbon(locale: str, found: Cost) -> Line:
    label = say(locale, "cost.carbon")
    grams = number(locale, found.intensity.grams)
    where = say(locale, f"cost.intensity.{found.intensity.origin}", grams=grams, country=found.prices.country)
    if found.carbon is None:
        return say(locale, "cost.unknown"), label, say(locale, "cost.carbon_unknown")
    return carbon_text(locale, found.carbon), label, where


def carbon_text(locale: str, grams: float) -> str:
    """Grams or kilograms of CO₂, in three digits."""
    if grams >= 1000:
        return say(locale, "cost.kilograms", value=number(locale, grams / 1000))
    if 0 < grams < 0.01:
        return say(locale, "cost.less_than", value=say(locale, "cost.grams", value=number(locale, 0.01)))
    return say(locale, "cost.grams", value=number(locale, grams))


def _money(locale: str, found: Cost) -> Line:
    label = say(locale, "cost.money")
    asked = [("hour", found.prices.hour, found.of_time), ("kwh", found.prices.kwh, found.of_energy)]
    parts = [
        say(locale, f"cost.money_{name}", price=price_text(locale, price, found.prices.currency),
            money=say(locale, "cost.unknown") if part is None else price_text(locale, part, found.prices.currency))
        for name, price, part in asked if price is not None
    ]  # fmt: skip
    money = found.money
    shown = say(locale, "cost.unknown") if money is None else price_text(locale, money, found.prices.currency)
    return shown, label, say(locale, "cost.and").join(parts)


def price_text(locale: str, value: float, currency: str) -> str:
    """An amount with its currency; amounts from a hundred on are whole."""
    if 0 < value < _LEAST_MONEY:
        return say(locale, "cost.less_than", value=price_text(locale, _LEAST_MONEY, currency))
    shown = number(locale, value, 0 if value >= 100 or float(value).is_integer() else 2)
    return say(locale, "cost.price", value=shown, currency=currency)
