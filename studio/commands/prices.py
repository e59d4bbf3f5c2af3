"""``prices``: what the device and its electricity cost, for the reports of runs."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from studio.commands.speech import Json, Language, Workspace, speaking
from studio.i18n import number, say
from studio.services import costs
from studio.services.costs import Prices


def prices(
    hour: Annotated[float | None, typer.Option("--hour", help="Of the device, per hour.")] = None,
    kwh: Annotated[float | None, typer.Option("--kwh", help="Of electricity, per kWh.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Of both, such as USD.")] = None,
    grams: Annotated[float | None, typer.Option("--grams", help="Of CO₂ per kWh; else the country's figure.")] = None,
    country: Annotated[str | None, typer.Option("--country", help="Three letters, for codecarbon's figure.")] = None,
    nothing: Annotated[bool, typer.Option("--nothing", help="Forget what was set before.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Set what reports reckon money and CO₂ with; what is not given stays. Without any, say what is set."""
    given = {"hour": hour, "kwh": kwh, "currency": currency, "grams": grams, "country": country}
    change = {name: value for name, value in given.items() if value is not None}
    with speaking(json, workspace, language) as speech:
        found = Prices() if nothing else costs.prices(speech.studio)
        if change or nothing:
            found = costs.set_prices(speech.studio, replace(found, **change))  # type: ignore[arg-type]
        used = costs.intensity(found)
        shown = {name: "—" if value is None else number(speech.locale, value)
                 for name, value in (("hour", found.hour), ("kwh", found.kwh))}  # fmt: skip
        line = say(speech.locale, "prices.line", **shown, currency=found.currency or "—", grams=used.grams,
                   origin=say(speech.locale, f"prices.origin.{used.origin}"))  # fmt: skip
        speech.tell({**asdict(found), "grams_per_kwh": used.grams, "grams_per_kwh_source": used.origin}, line)
