"""How a handler of any tab tells a user what went wrong, in the language of the page."""

from __future__ import annotations

import html
import inspect
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.i18n import explain, say

_log = logging.getLogger(__name__)


def guarded(locale: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler` with its errors said in `locale` as a toast.

    A `StudioError` becomes its sentence. Anything else is our mistake: it goes to the log with its trace, and the page
    says only that. The event must be queued: of one with ``queue=False`` Gradio's page shows no toast. Generators are
    followed to their end. The signature stays: Gradio still passes `gr.Request`.
    """
    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def stream(*values: Any, **named: Any) -> Any:
            try:
                yield from handler(*values, **named)
            except Exception as error:
                raise as_toast(locale, error) from error

        return stream

    @wraps(handler)
    def call(*values: Any, **named: Any) -> Any:
        try:
            return handler(*values, **named)
        except Exception as error:
            raise as_toast(locale, error) from error

    return call


def as_toast(locale: str, error: Exception) -> gr.Error:
    """The toast for `error`; a toast renders HTML, so what a sentence quotes is escaped."""
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, StudioError):
        sentence = explain(locale, error)
    else:
        _log.error("a handler failed", exc_info=error)
        sentence = say(locale, "toast.unexpected")
    return gr.Error(
        html.escape(sentence, quote=False), duration=12, title=say(locale, "toast.error"), print_exception=False
    )


def warn(locale: str, key: str, **details: Any) -> None:
    """A warning toast with sentence `key`."""
    gr.Warning(html.escape(say(locale, key, **details), quote=False), duration=8, title=say(locale, "toast.warning"))


def inform(locale: str, key: str, **details: Any) -> None:
    """A quiet toast with sentence `key`: something worked."""
    gr.Info(html.escape(say(locale, key, **details), quote=False), duration=5, title=say(locale, "toast.done"))
