"""A chat as the model's own template writes it, with the stretches of text that are answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from studio.data.sample import Chat, Message
from studio.errors import StudioError
from studio.models.files import chat_template
from studio.models.render import render_chat
from studio.models.tokenizer import load_tokenizer, special_tokens

IGNORED = -100
"""The label of a token on which no loss is taken, torch's own number."""

Apply = Callable[[list[dict[str, str]], bool], str]
"""Writes messages by a model's template; the second argument asks for the opening of an answer at the end."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text of one chat and its answers as ``(start, end)`` in characters; each answer holds its end-of-turn token."""

    text: str
    answers: tuple[tuple[int, int], ...]
    characters: int


class ChatTemplate:
    """Renders chats for one model and finds where each answer starts and ends.

    `system_role` tells whether the template writes a system message; where it does not, the message is put in front of
    the first question, so that nothing the user wrote is lost.

    Args:
        apply: Writes messages by the model's template; raises `jinja2.TemplateError` for those it refuses.
        special: The model's special tokens, of which one ends an answer.

    Raises:
        StudioError: ``template.no_mask`` if the end of an answer cannot be found in a plain chat of one turn.
    """

    def __init__(self, apply: Apply, special: Iterable[str]) -> None:
        self._apply = apply
        self._ends = sorted({token for token in special if token.strip()}, key=len, reverse=True)
        self.system_role = self._writes_system()
        probe = Chat((Message("user", "آب چیست؟"), Message("assistant", "مایعی بی‌رنگ.")))
        if self.render(probe) is None:
            raise StudioError("template.no_mask")

    @classmethod
    def of_tokenizer(cls, tokenizer: Any) -> ChatTemplate:
        """That of a transformers tokenizer, for training.

        Raises:
            StudioError: ``template.missing`` or ``template.no_mask``.
        """
        if not tokenizer.chat_template:
            raise StudioError("template.missing")

        def apply(messages: list[dict[str, str]], opening: bool) -> str:
            return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opening))

        added = {str(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special}
        return cls(apply, added | {str(token) for token in tokenizer.all_special_tokens})

    @classmethod
    def of_folder(cls, folder: Path) -> ChatTemplate:
        """That of a folder with tokenizer files, for pages: the same texts without torch.

        Raises:
            StudioError: ``template.missing``, ``template.no_mask``, ``model.no_tokenizer`` or ``model.broken_file``.
        """
        written, named = chat_template(folder), special_tokens(folder)
        if not written:
            raise StudioError("template.missing")

        def apply(messages: list[dict[str, str]], opening: bool) -> str:
            return render_chat(written, messages, add_generation_prompt=opening, special_tokens=named)

        added = load_tokenizer(folder).get_added_tokens_decoder().values()
        return cls(apply, {token.content for token in added if token.special} | set(named.values()))

    def render(self, chat: Chat) -> Rendered | None:
        """`chat` as text, or None if the template refuses it or holds no answer that can be told apart."""
        messages = self._plain(chat)
        try:
            text = self._apply(messages, False)
            answers = tuple(self._answers(text, messages))
        except (TemplateError, StudioError, _NoMaskError):
            return None
        if not answers:
            return None
        return Rendered(text, answers, sum(len(message.content) for message in chat.messages))

    def prompt(self, question: str) -> str:
        """Text up to where the model has to answer `question`."""
        return self._apply([{"role": "user", "content": question}], True)

    def _answers(self, text: str, messages: list[dict[str, str]]) -> Iterator[tuple[int, int]]:
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            content = message["content"].strip()
            start = self._start(text, messages[:index], content)
            found = text.find(content, start)  # a template may put an empty thought before the answer
            if found < 0:
                raise _NoMaskError
            yield start, self._end(text, found + len(content))

    def _start(self, text: str, before: list[dict[str, str]], content: str) -> int:
        prompt, history = self._apply(before, True), self._apply(before, False)
        if prompt != history and text.startswith(prompt):
            return len(prompt)
        if text.startswith(history):  # a template that has no generation prompt of its own
            return text.find(content, len(history))
        raise _NoMaskError

    def _end(self, text: str, content_end: int) -> int:
        rest = text[content_end:]
        skipped = len(rest) - len(rest.lstrip())
        for token in self._ends:
            if rest.startswith(token, skipped):
                return content_end + skipped + len(token)
        raise _NoMaskError

    def _plain(self, chat: Chat) -> list[dict[str, str]]:
        messages = [{"role": message.role, "content": message.content} for message in chat.messages]
        if not self.system_role and len(messages) > 1 and messages[0]["role"] == "system":
            system, first = messages[0]["content"], messages[1]
            return [{**first, "content": f"{system}\n\n{first['content']}"}, *messages[2:]]
        return messages

    def _writes_system(self) -> bool:
        probe = [{"role": "system", "content": "SYSTEM-PROBE"}, {"role": "user", "content": "?"}]
        try:
            text = self._apply(probe, False)
        except (TemplateError, StudioError):
            return False
        # Gemma's template puts it into the first question itself: that is as good as a role of its own
        return "SYSTEM-PROBE" in text


def mask_answers(ids: list[int], offsets: list[tuple[int, int]], answers: tuple[tuple[int, int], ...]) -> list[int]:
    """Labels that are the ids inside `answers` and ``-100`` elsewhere; a token across a border is left out."""
    labels = [IGNORED] * len(ids)
    spans = iter(answers)
    span = next(spans, None)
    for index, (begin, end) in enumerate(offsets):
        while span is not None and begin >= span[1]:
            span = next(spans, None)
        if span is None:
            break
        if begin >= span[0] and end <= span[1]:
            labels[index] = ids[index]
    return labels


class _NoMaskError(Exception):
    pass
