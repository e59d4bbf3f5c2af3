"""What an event may be called with: values of the kind that its fields hold, whoever calls it.

Our events take what a page sends as it is (`PLAIN` in `studio.ui.widgets`), since Gradio's own check knows only the
choices of when the app was built. A page never sends a list for a text; a caller of the API may.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.ui.handlers import as_toast

_KINDS: dict[str, type | tuple[type, ...]] = {"str": str, "float | None": (int, float)}
"""What the endpoints that have no field of their own say of their values."""


def hold(app: gr.Blocks, locale: str) -> None:
    """Make every event of `app` refuse, in the page's language, what its fields could not have held."""
    for event in app.fns.values():
        if event.fn is not None and event.inputs:
            event.fn = held(locale, event.fn, event.inputs)


def held(locale: str, handler: Callable[..., Any], inputs: Sequence[Any]) -> Callable[..., Any]:
    """`handler` behind the check, its errors said as `studio.ui.handlers.as_toast` does.

    The signature stays, and generators stay generators: Gradio looks at both. A field that is empty is None to Gradio;
    where the handler says ``str`` or ``list``, it gets an empty one.
    """
    named = [one for one in inspect.signature(handler).parameters.values() if one.kind is not one.VAR_POSITIONAL]
    kinds = [str(one.annotation) for one in named] + [""] * len(inputs)
    first = int(kinds[0].endswith("Request"))  # of a handler that takes any number of values, else it comes last

    def checked(values: tuple[Any, ...]) -> list[Any]:
        given = zip(inputs, values[first:], kinds[first:], strict=False)
        fields = [as_field(field, value, kind) for field, value, kind in given]
        return [*values[:first], *fields, *values[first + len(inputs) :]]  # with what Gradio adds, such as the request

    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def stream(*values: Any, **named: Any) -> Any:
            try:
                yield from handler(*checked(values), **named)
            except Exception as error:
                raise as_toast(locale, error) from error

        return stream

    @wraps(handler)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return handler(*checked(values), **named)
        except Exception as error:
            raise as_toast(locale, error) from error

    return call


def as_field(field: Any, value: Any, kind: str = "") -> Any:
    """`value` of `field` as a handler gets it that calls it `kind`, an annotation.

    Raises:
        StudioError: ``call.bad_value`` for what the field cannot hold.
    """
    if value is None and (kind == "str" or isinstance(field, gr.Textbox)):
        return ""
    if value is None and kind.startswith("list["):
        return []
    if _fits(field, value) and (value is None or kind not in _KINDS or isinstance(value, _KINDS[kind])):
        return value
    raise StudioError("call.bad_value", field=str(getattr(field, "label", None) or field.get_block_name()))


def _fits(field: Any, value: Any) -> bool:
    if value is None:
        return True
    if isinstance(field, gr.Number | gr.Slider):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(field, gr.Checkbox):
        return isinstance(value, bool)
    if isinstance(field, gr.CheckboxGroup) or (isinstance(field, gr.Dropdown) and field.multiselect):
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, str) if isinstance(field, gr.Dropdown | gr.Radio | gr.Textbox) else True
