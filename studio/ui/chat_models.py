"""Which models the columns of the chat are: a field each, two to four of them, over one base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from studio.i18n import say
from studio.services import chat
from studio.services.studio import Studio
from studio.ui.chat_columns import Panel
from studio.ui.handlers import guarded
from studio.ui.widgets import LATEST, PLAIN, follow_choices, pulse

CHOICES_SECONDS = 4.0
FIELDS = ("chat-base", "chat-run", "chat-third", "chat-fourth")
FEWEST, MOST = 2, len(FIELDS)
_FOLLOWING = ("chat_base", "chat_base_third", "chat_base_fourth")


def field(locale: str, studio: Studio, place: int) -> gr.Dropdown:
    """The model of a place: bases, runs, their stages and checkpoints."""
    offered = _offered(locale, place, _known(studio))
    return gr.Dropdown(
        offered, value=None, label=say(locale, "chat.column", place=place + 1), interactive=True,
        elem_id=FIELDS[place],
    )  # fmt: skip


def connect(
    locale: str, studio: Studio, models: Sequence[gr.Dropdown], columns: Sequence[gr.Column],
    panel: Panel, buttons: tuple[gr.Button, gr.Button],
) -> None:  # fmt: skip
    """Keep the fields fresh, let the first follow the others to their base, and add and remove columns."""
    first, others = models[0], models[1:]
    count = gr.State(FEWEST)

    def refresh(*held: str | None) -> list[dict[str, Any]]:
        known = _known(studio)
        return [_refreshed(locale, studio, place, known, value) for place, value in enumerate(held)]

    def follow(reference: str, held: str | None) -> Any:
        if not reference:
            return gr.skip()
        base = chat.base_of(studio, reference)
        if held and chat.base_of(studio, held) == base:
            return gr.skip()
        known = _known(studio)
        return follow_choices(_offered(locale, 0, known if base in known else [*known, base]), base, held)

    def more(shown: int) -> list[Any]:
        return _visible(min(shown + 1, MOST))

    def fewer(shown: int) -> list[Any]:
        fewest = max(shown - 1, FEWEST)
        emptied = [gr.skip() if place < fewest else "" for place in range(MOST)]
        cleared = [gr.skip() if place < fewest else [] for place in range(MOST)]
        return [*_visible(fewest), *emptied, *cleared, *emptied]

    for model, name in zip(others, _FOLLOWING, strict=True):
        # a dropdown says `input` twice for one choice
        model.select(guarded(locale, follow), [model, first], first, api_name=name, **LATEST)
    pulse(CHOICES_SECONDS).tick(
        refresh, [*models], [*models], api_name="chat_choices", queue=False, show_progress="hidden", **PLAIN
    )
    shown = [count, *columns, *buttons]
    buttons[0].click(more, count, shown, api_name="chat_add", queue=False, show_progress="hidden")
    buttons[1].click(fewer, count, [*shown, *models, *panel.histories, *panel.feet], api_name="chat_remove",
                     queue=False, show_progress="hidden")  # fmt: skip


def _visible(count: int) -> list[Any]:
    columns = [gr.update(visible=place < count) for place in range(MOST)]
    return [count, *columns, gr.update(interactive=count < MOST), gr.update(interactive=count > FEWEST)]


def _known(studio: Studio) -> list[str]:
    return [*chat.bases(studio), *chat.adapted(studio)]


def _offered(locale: str, place: int, known: Sequence[str]) -> list[tuple[str, str]]:
    """Models as a field takes them; every column but the first may be left empty."""
    none = [(say(locale, "vocabulary.no_dataset"), "")] if place else []
    return [*none, *[(reference.removeprefix("run:"), reference) for reference in known]]


def _refreshed(locale: str, studio: Studio, place: int, known: Sequence[str], held: str | None) -> dict[str, Any]:
    # A base in a folder of its own, which a run was trained on, is in no list: it stays while a field holds it.
    extra = [held] if held and held not in known and chat.can_answer(studio, held) else []
    offered = _offered(locale, place, [*known, *extra])
    value = held if held in [value for _, value in offered] else _first_choice(studio, place, held)
    if value and value not in known and value not in extra:
        offered = _offered(locale, place, [*known, value])
    return follow_choices(offered, value, held)


def _first_choice(studio: Studio, place: int, held: str | None) -> str | None:
    """The newest run beside its base where nothing was chosen yet; nothing for what was chosen and is gone."""
    if place >= FEWEST or (place and held is not None):
        return held and ""
    newest = chat.newest(studio)
    if place:
        return newest
    return next(iter(chat.bases(studio)), None) if newest is None else chat.base_of(studio, newest)
