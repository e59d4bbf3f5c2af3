"""The pages of one language as `gradio_client` asks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from studio.errors import StudioError
from studio.i18n import explain
from studio.ui.train_draft import Draft
from tests.live import LiveStudio


class Page:
    """The pages of one language through `gradio_client`."""

    def __init__(self, live: LiveStudio, locale: str) -> None:
        self.live, self.locale = live, locale
        self.client = Client(f"{live.address}/{locale}/", verbose=False)

    def ask(self, name: str, *values: Any) -> Any:
        return self.client.predict(*values, api_name=f"/{name}")

    def refusal(self, name: str, *values: Any) -> str:
        with pytest.raises(AppError) as caught:
            self.ask(name, *values)
        return str(caught.value)

    def sentence(self, code: str, **details: Any) -> str:
        return explain(self.locale, StudioError(code, **details))


KNOBS = {
    "system": "", "temperature": 0, "top_p": 1, "top_k": 0, "repetition_penalty": 0,
    "max_tokens": 8, "seed": 1,
}  # fmt: skip
"""The fields of the chat behind its manners, in their order."""


def question(
    models: Sequence[str],
    text: str,
    histories: Sequence[Any] = (),
    *,
    hidden: bool = False,
    four_bits: bool = False,
    number: int = 0,
    **knobs: Any,
) -> list[Any]:
    """The values of the chat's fields in their order; what is not given is greedy and short."""
    rest = 4 - len(models)
    talked = [*histories, *[[] for _ in range(4 - len(histories))]]
    return [*models, *[""] * rest, *talked, text, number, hidden, four_bits, *{**KNOBS, **knobs}.values()]


def form(recipe: str = "first_steps", **values: Any) -> list[Any]:
    """The values of the training form in the order of its fields; what is not given is as the recipe says."""
    return list(asdict(Draft(recipe, **values)).values())
