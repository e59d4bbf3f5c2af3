"""Events take what their fields can hold, and nothing else, whoever calls them."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

import gradio as gr
import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, explain, say
from studio.ui.border import as_field, held

MANY = {"multiselect": True}


@pytest.mark.parametrize(
    ("field", "kind", "given", "got"),
    [
        (gr.Textbox(), "", None, ""),
        (gr.Textbox(), "str", "سلام", "سلام"),
        (gr.Dropdown([]), "str", None, ""),
        (gr.Dropdown([]), "str | None", None, None),
        (gr.Dropdown([]), "", "came later", "came later"),
        (gr.Dropdown([], **MANY), "list[str]", None, []),
        (gr.Dropdown([], **MANY), "list[str] | None", None, []),
        (gr.Dropdown([], **MANY), "", ["a", "b"], ["a", "b"]),
        (gr.CheckboxGroup([]), "", ["a"], ["a"]),
        (gr.Number(), "", 2.5, 2.5),
        (gr.Number(), "", None, None),
        (gr.Slider(), "", 3, 3),
        (gr.Checkbox(), "", True, True),
        (gr.File(), "", [{"path": "x"}], [{"path": "x"}]),
    ],
)
def test_what_a_field_holds_reaches_the_handler(field: Any, kind: str, given: Any, got: Any) -> None:
    assert as_field(field, given, kind) == got


@pytest.mark.parametrize(
    ("field", "given"),
    [
        (gr.Textbox(), 3),
        (gr.Textbox(), ["a"]),
        (gr.Dropdown([]), ["a"]),
        (gr.Dropdown([]), {"a": 1}),
        (gr.Dropdown([]), True),
        (gr.Dropdown([], **MANY), "a"),
        (gr.Dropdown([], **MANY), ["a", 3]),
        (gr.CheckboxGroup([]), [None]),
        (gr.Radio([]), 3),
        (gr.Number(), "3"),
        (gr.Number(), True),
        (gr.Slider(), []),
        (gr.Checkbox(), 1),
    ],
)
def test_what_it_cannot_hold_is_refused(field: Any, given: Any) -> None:
    with pytest.raises(StudioError, match=r"call\.bad_value"):
        as_field(field, given)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_handler_keeps_its_shape_behind_the_check(locale: str) -> None:
    fields = [gr.Textbox(label="نام"), gr.Dropdown([], **MANY)]

    def plain(name: str, chosen: list[str], request: gr.Request | None = None) -> Any:
        return name, chosen, request

    def stream(name: str, chosen: list[str]) -> Iterator[Any]:
        yield name
        yield chosen

    def many(request: gr.Request, *values: Any) -> Any:
        return request, values

    assert held(locale, many, fields)("request", "a", None, "more") == ("request", ("a", None, "more"))
    with pytest.raises(gr.Error):
        held(locale, many, fields)("request", 5, [])
    assert held(locale, plain, fields)(None, None, "request") == ("", [], "request")
    assert list(held(locale, stream, fields)("a", ["b"])) == ["a", ["b"]]
    for handler in (plain, stream):
        with pytest.raises(gr.Error) as refused:
            list(held(locale, handler, fields)(5, []))
        assert unescape(refused.value.message) == explain(locale, StudioError("call.bad_value", field="نام"))
        assert refused.value.title == say(locale, "toast.error")
        assert refused.value.print_exception is False
