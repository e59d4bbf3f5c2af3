"""A dataset as training will read it: what is written round the texts, and on which tokens the loss is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from studio.auth import owner_only
from studio.data.pairs import as_chats
from studio.data.sample import Chat, Pair, Sample, Text
from studio.errors import StudioError
from studio.models.files import document_start, locate_tokenizer
from studio.models.template import IGNORED, ChatTemplate, mask_answers
from studio.models.tokenizer import load_tokenizer, special_tokens
from studio.services import datasets
from studio.services.studio import Studio


@dataclass(frozen=True, slots=True)
class Read:
    """One sample as text with its special tokens; `trained` are ``(start, end)`` in characters, where the loss is.

    `text` is None for a chat that the model's template refuses: training leaves it out.
    """

    text: str | None
    trained: tuple[tuple[int, int], ...] = ()
    tokens: int = 0
    trained_tokens: int = 0


@owner_only
def as_trained(studio: Studio, name: str, model: str, start: int = 0, count: int = 3) -> list[Read]:
    """The samples from row `start` on as the instruct stage reads them, with the loss on answers.

    Texts are read whole, from the token before a document to the one after it; pairs as translations both ways.

    Raises:
        StudioError: ``data.no_such_dataset``, ``template.missing`` or ``template.no_mask`` for chats and pairs,
            ``model.*``.
    """
    folder = locate_tokenizer(model, studio.settings)
    samples = datasets.preview(studio, name, start, count)
    if all(isinstance(sample, Text) for sample in samples):
        frame = _frame(model, studio)
        tokenizer = load_tokenizer(folder)
        return [_read_text(sample, *frame, len(tokenizer.encode(sample.text, add_special_tokens=False).ids))
                for sample in samples if isinstance(sample, Text)]  # fmt: skip
    template, tokenizer = ChatTemplate.of_folder(folder), load_tokenizer(folder)
    found = []
    for chat in _chats(samples):
        rendered = template.render(chat)
        if rendered is None:
            found.append(Read(None))
            continue
        encoded = tokenizer.encode(rendered.text, add_special_tokens=False)
        labels = mask_answers(encoded.ids, encoded.offsets, rendered.answers)
        trained = sum(label != IGNORED for label in labels)
        found.append(Read(rendered.text, rendered.answers, len(encoded.ids), trained))
    return found


def _chats(samples: list[Sample]) -> Iterator[Chat]:
    for sample in samples:
        if isinstance(sample, Pair):
            yield from as_chats(sample, "both")
        elif isinstance(sample, Chat):
            yield sample


def _frame(model: str, studio: Studio) -> tuple[str, str]:
    """The tokens before and after a document; "" for one that the model does not have."""
    folder = locate_tokenizer(model, studio.settings)
    end = special_tokens(folder).get("eos_token", "")
    try:
        start = document_start(folder)
    except StudioError as error:
        if error.code != "model.no_config":  # a folder of tokenizer files alone cannot tell
            raise
        start = None
    return "" if start is None else load_tokenizer(folder).id_to_token(start) or "", end


def _read_text(sample: Text, start: str, end: str, tokens: int) -> Read:
    text = f"{start}{sample.text}{end}"
    return Read(text, ((len(start), len(text)),), tokens + bool(start) + bool(end), tokens + bool(end))
