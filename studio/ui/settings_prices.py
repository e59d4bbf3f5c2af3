"""What training costs: the part of the settings that reports reckon money and CO₂ with."""

from __future__ import annotations

import gradio as gr

from studio.errors import StudioError
from studio.i18n import number, say
from studio.publish.cards.facts import WORLD_INTENSITY
from studio.services import costs
from studio.services.costs import Prices
from studio.services.studio import Studio
from studio.ui import parts
from studio.ui.handlers import guarded, inform
from studio.ui.widgets import PLAIN, html_block


def build(locale: str, studio: Studio) -> None:
    """The fields; 0 and nothing mean the same, since Gradio's page gives an empty number back as 0."""
    html_block(parts.heading(say(locale, "prices.title"), say(locale, "prices.lead")))
    world = number(locale, WORLD_INTENSITY)
    with gr.Row():
        hour = gr.Number(0, label=say(locale, "prices.hour"), info=say(locale, "prices.hour_info"),
                         minimum=0, elem_id="price-hour")  # fmt: skip
        kwh = gr.Number(0, label=say(locale, "prices.kwh"), info=say(locale, "prices.kwh_info"),
                        minimum=0, elem_id="price-kwh")  # fmt: skip
        currency = gr.Textbox("", label=say(locale, "prices.currency"), elem_id="currency",
                              info=say(locale, "prices.currency_info"))  # fmt: skip
    with gr.Row():
        grams = gr.Number(0, label=say(locale, "prices.grams"), minimum=0, elem_id="carbon-grams",
                          info=say(locale, "prices.grams_info", world=world))  # fmt: skip
        country = gr.Textbox("", label=say(locale, "prices.country"), elem_classes=["ltr"],
                             info=say(locale, "prices.country_info"), elem_id="carbon-country")  # fmt: skip
    save = gr.Button(say(locale, "prices.save"), scale=0, elem_id="prices-save")

    def keep(an_hour: float | None, a_kwh: float | None, money: str, carbon: float | None, where: str) -> None:
        costs.set_prices(studio, Prices(an_hour or None, a_kwh or None, money, carbon or None, where))
        inform(locale, "prices.kept")

    def held() -> tuple[float, float, str, float, str]:
        now = _kept(studio)
        return now.hour or 0, now.kwh or 0, now.currency, now.grams or 0, now.country

    fields = [hour, kwh, currency, grams, country]
    save.click(guarded(locale, keep), fields, None, api_name="prices", **PLAIN)
    gr.on(None, guarded(locale, held), None, fields, api_name="prices_kept", queue=False, show_progress="hidden")


def _kept(studio: Studio) -> Prices:
    try:
        return costs.prices(studio)
    except StudioError:  # said by the next report; saving here mends it
        return Prices()
