"""One side of the chat: a tokenizer, the adapter that is switched on for it, and what ends its answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from studio.chat.kept import Kept
from studio.chat.requests import Message
from studio.chat.words import Words
from studio.errors import StudioError


@dataclass(slots=True)
class Side:
    """A model the user talks to.

    `adapter` is None for the base itself, `words` unless it has a vocabulary of its own. `mark` tells whether the
    files behind it are still the same. `stops` are the token ids that end an answer. `kept` is the cache of the last
    conversation, so that the next turn need not read it again.
    """

    reference: str
    mark: tuple[str, ...]
    tokenizer: Any
    adapter: str | None
    stops: frozenset[int]
    words: Words | None = None
    kept: Kept | None = None

    @property
    def has_template(self) -> bool:
        return bool(self.tokenizer.chat_template)

    def encode(self, messages: Iterable[Message]) -> list[int]:
        """Token ids of the conversation up to where the answer begins.

        Without a chat template the messages are joined by blank lines and merely continued.

        Raises:
            StudioError: ``chat.empty`` when nothing is asked, ``chat.template`` when the template refuses these roles.
        """
        turns = [message.model_dump() for message in messages]
        if not turns or turns[-1]["role"] != "user" or not turns[-1]["content"].strip():
            raise StudioError("chat.empty")
        if not self.has_template:
            text = "\n\n".join(turn["content"] for turn in turns)
            return list(self.tokenizer(text)["input_ids"])
        return list(self.tokenizer(self._render(turns), add_special_tokens=False)["input_ids"])

    def decode(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _render(self, turns: list[dict[str, str]]) -> str:
        from jinja2 import TemplateError

        try:
            return str(self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
        except TemplateError as error:
            raise StudioError("chat.template", model=self.reference, reason=str(error)) from error


def stop_tokens(tokenizer: Any, generation_config: Any) -> frozenset[int]:
    """Ids that end an answer: the model's own, the tokenizer's, and the one its template closes a turn with."""
    own = generation_config.eos_token_id
    ids = set(own if isinstance(own, list) else [own])
    ids |= {tokenizer.eos_token_id, _end_of_turn(tokenizer)}
    return frozenset(token for token in ids if token is not None)


def _end_of_turn(tokenizer: Any) -> int | None:
    """The special token right behind an assistant's words, found by rendering one; a base model has none."""
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        return None
    words = "7391"
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": "?"}, {"role": "assistant", "content": words}], tokenize=False
        )
    except TemplateError:
        return None
    behind = tokenizer(text.rpartition(words)[2].lstrip(), add_special_tokens=False)["input_ids"]
    return behind[0] if behind and behind[0] in tokenizer.all_special_ids else None
