"""Messages written out the way a model was taught to read them, by its own chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.errors import StudioError


def render_chat(
    template: str,
    messages: Sequence[Mapping[str, str]],
    *,
    add_generation_prompt: bool,
    special_tokens: Mapping[str, str],
) -> str:
    """Messages as one text, special tokens included.

    Args:
        template: The model's Jinja chat template.
        messages: Each with ``role`` and ``content``, oldest first.
        add_generation_prompt: Whether to end with the opening of an answer.
        special_tokens: ``bos_token`` and its kin, which templates name.

    Raises:
        StudioError: ``model.template_refused`` when the template refuses the messages, as some do with a system
            message or two turns of one side; `reason` is the template's own.
    """
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template  # 0.5 s and no torch

    try:
        texts, _ = render_jinja_template(
            conversations=[[dict(message) for message in messages]],
            chat_template=template,
            add_generation_prompt=add_generation_prompt,
            **special_tokens,
        )
    except TemplateError as error:
        raise StudioError("model.template_refused", reason=error.message or type(error).__name__) from error
    return str(texts[0])
