"""How answers are drawn: a named manner in one sentence, and the knobs behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from studio.chat.requests import NAMED, Sampling
from studio.errors import StudioError, invalid
from studio.i18n import say
from studio.ui.widgets import LATEST

DEFAULT = "balanced"
ANSWER_TOKENS = 128
"""On a processor with two cores the starter model writes so many in a few seconds."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """System message, how the base is held, and numbers, in the order in which `sampling` takes the numbers."""

    system: gr.Textbox
    four_bits: gr.Checkbox
    numbers: list[gr.Number]

    @property
    def seed(self) -> gr.Number:
        return self.numbers[-1]


def build(locale: str) -> Knobs:
    """The manners, and folded away below them the knobs that they turn."""
    manner = gr.Radio(
        [(say(locale, f"chat.manner.{name}"), name) for name in NAMED],
        value=DEFAULT, label=say(locale, "chat.manner"), elem_id="chat-manner", elem_classes=["manners"],
    )  # fmt: skip
    with gr.Accordion(say(locale, "knobs.advanced"), open=False, elem_id="chat-advanced"):
        system = gr.Textbox("", label=say(locale, "chat.system"), info=say(locale, "chat.system_info"))
        with gr.Row():
            numbers = _numbers(locale)
        four_bits = gr.Checkbox(False, label=say(locale, "chat.four_bits"), info=say(locale, "chat.four_bits_info"),
                                elem_id="chat-four-bits")  # fmt: skip
    turned = numbers[:-1]

    def fill(name: str) -> list[Any]:
        if name not in NAMED:
            raise StudioError("call.bad_value", field=say(locale, "chat.manner"))
        chosen = _values(NAMED[name])
        tokens = chosen[-1] if "max_new_tokens" in NAMED[name].model_fields_set else gr.skip()
        return [*chosen[:-1], tokens]

    def name_of(*values: float | None) -> str | None:
        """The manner that these numbers are; none where somebody has turned a knob away from all of them."""
        return next((name for name, known in NAMED.items() if _same(known, list(values))), None)

    manner.input(fill, manner, turned, api_name="chat_manner", queue=False, show_progress="hidden", **LATEST)
    gr.on([number.input for number in turned[:-1]], name_of, turned[:-1], manner, api_name="chat_manner_of",
          queue=False, show_progress="hidden", **LATEST)  # fmt: skip
    return Knobs(system, four_bits, numbers)


def sampling(
    temperature: float | None, top_p: float | None, top_k: float | None, penalty: float | None, tokens: float | None,
    seed: float | None,
) -> Sampling:  # fmt: skip
    """The knobs of the page; no variety at all is greedy, and with a penalty of 0 the model's own counts.

    Raises:
        StudioError: ``chat.bad_knob``.
    """
    given = {"max_new_tokens": tokens, "seed": seed, "repetition_penalty": penalty or None}
    chosen = {"temperature": temperature, "top_p": top_p, "top_k": top_k} if temperature else {"greedy": True}
    try:
        return Sampling.model_validate({**given, **chosen})
    except ValidationError as error:
        raise invalid("chat.bad_knob", error) from error


def _numbers(locale: str) -> list[gr.Number]:
    given = dict(zip(_KNOBS, [*_values(NAMED[DEFAULT])[:-1], ANSWER_TOKENS, Sampling().seed], strict=True))
    return [
        gr.Number(
            value,
            label=say(locale, f"chat.{name}"),
            info=say(locale, f"chat.{name}_info"),
            precision=0 if name in ("top_k", "max_tokens", "seed") else None,
            min_width=160,
            minimum=0,
        )
        for name, value in given.items()
    ]


_KNOBS = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "seed")


def _values(known: Sampling) -> list[float]:
    temperature = 0 if known.greedy else known.temperature
    # A field of numbers cannot be empty: Gradio's shows 0 then, and sends it once somebody has seen it.
    return [temperature, known.top_p, known.top_k, known.repetition_penalty or 0, known.max_new_tokens]


def _same(known: Sampling, values: list[float | None]) -> bool:
    wanted = _values(known)
    if known.greedy:
        return not values[0] and (values[3] or 0) == wanted[3]
    return [*values[:3], values[3] or 0] == wanted[:4]
