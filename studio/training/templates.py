"""A chat as the model's own template writes it, with the stretches of text that are answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from studio.data.sample import Chat, Message
from studio.errors import StudioError


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text of one chat and its answers as ``(start, end)`` in characters; each answer holds its end-of-turn token."""

    text: str
    answers: tuple[tuple[int, int], ...]
    characters: int


class ChatTemplate:
    """Renders chats for one tokenizer and finds where each answer starts and ends.

    `system_role` tells whether the template writes a system message; where it does not, the message is put in front of
    the first question, so that nothing the user wrote is lost.

    Args:
        tokenizer: A transformers tokenizer with a chat template.

    Raises:
        StudioError: ``template.missing`` without a chat template; ``template.no_mask`` if the end of an answer cannot
            be found in a plain chat of one turn.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            raise StudioError("template.missing")
        self._tokenizer = tokenizer
        self._ends = sorted((token for token in _special_tokens(tokenizer) if token.strip()), key=len, reverse=True)
        self.system_role = self._writes_system()
        probe = Chat((Message("user", "آب چیست؟"), Message("assistant", "مایعی بی‌رنگ.")))
        if self.render(probe) is None:
            raise StudioError("template.no_mask")

    def render(self, chat: Chat) -> Rendered | None:
        """`chat` as text, or None if the template refuses it or holds no answer that can be told apart."""
        messages = self._plain(chat)
        try:
            text = self._apply(messages)
            answers = tuple(self._answers(text, messages))
        except (TemplateError, _NoMaskError):
            return None
        if not answers:
            return None
        return Rendered(text, answers, sum(len(message.content) for message in chat.messages))

    def prompt(self, question: str) -> str:
        """Text up to where the model has to answer `question`."""
        return self._apply([{"role": "user", "content": question}], add_generation_prompt=True)

    def _apply(self, messages: list[dict[str, str]], add_generation_prompt: bool = False) -> str:
        text = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return str(text)

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
        prompt, history = self._apply(before, add_generation_prompt=True), self._apply(before)
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
            text = self._apply(probe)
        except TemplateError:
            return False
        # Gemma's template puts it into the first question itself: that is as good as a role of its own
        return "SYSTEM-PROBE" in text


class _NoMaskError(Exception):
    pass


def _special_tokens(tokenizer: Any) -> set[str]:
    added = {str(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return added | {str(token) for token in tokenizer.all_special_tokens}
