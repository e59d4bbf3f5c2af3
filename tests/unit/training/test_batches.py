from __future__ import annotations

from typing import Any

import pytest

from studio.data.sample import Chat, Message, Pair, Text
from studio.errors import StudioError
from studio.models.template import IGNORED, ChatTemplate
from studio.training.batches import Report, Row, RowMaker
from tests.tiny import CHAT_TEMPLATE, DOCUMENT_START, TURN_END, tiny_tokenizer
from tests.unit.training.conftest import CHATS

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + CHAT_TEMPLATE
)
SAMPLES = [Chat(tuple(Message(role, text) for role, text in chat)) for chat in CHATS]  # type: ignore[arg-type]


def make(
    tokenizer: Any, samples: list[Any], *, length: int = 512, loss: Any = "answers", direction: str = "both"
) -> tuple[list[Row], Report]:
    report = Report()
    maker = RowMaker(tokenizer, length, loss, DOCUMENT_START, ChatTemplate.of_tokenizer(tokenizer))
    return list(maker.rows(samples, direction, report)), report


def trained_texts(tokenizer: Any, row: Row) -> list[str]:
    runs: list[list[int]] = []
    for before, label in zip([IGNORED, *row.labels], row.labels, strict=False):
        if label != IGNORED:
            if before == IGNORED:
                runs.append([])
            runs[-1].append(label)
    return [tokenizer.decode(run) for run in runs]


def test_loss_is_on_the_answers_and_their_end_token(tokenizer: Any) -> None:
    rows, report = make(tokenizer, SAMPLES)
    for row, chat in zip(rows, SAMPLES, strict=True):
        answers = [f"{turn.content}<|im_end|>" for turn in chat.messages if turn.role == "assistant"]
        assert trained_texts(tokenizer, row) == answers
        assert [label for label in row.labels if label != IGNORED][-1] == TURN_END
    assert report.rows == len(SAMPLES)
    assert report.tokens == sum(len(row.ids) for row in rows)
    assert report.characters == sum(len(text) for chat in CHATS for _, text in chat)


def test_ids_are_the_template_rendered_by_transformers(tokenizer: Any) -> None:
    rows, _ = make(tokenizer, SAMPLES)
    for row, chat in zip(rows, SAMPLES, strict=True):
        messages = [{"role": turn.role, "content": turn.content} for turn in chat.messages]
        assert row.ids == tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)


def test_loss_all_trains_everything_but_the_first_token(tokenizer: Any) -> None:
    rows, _ = make(tokenizer, SAMPLES, loss="all")
    assert all(row.labels == [IGNORED, *row.ids[1:]] for row in rows)


def test_a_long_chat_is_cut_after_an_answer_that_fits(tokenizer: Any) -> None:
    whole, _ = make(tokenizer, [SAMPLES[1]])
    first_exchange, _ = make(tokenizer, [Chat(SAMPLES[1].messages[:2])])
    cut, report = make(tokenizer, [SAMPLES[1]], length=len(whole[0].ids) - 1)
    assert cut == first_exchange
    assert (report.cut, report.rows) == (1, 1)
    none, report = make(tokenizer, [SAMPLES[1]], length=len(cut[0].ids) - 1)
    assert none == []
    assert report.dropped == {"too_long": 1}


def test_a_template_without_system_role_gets_it_in_the_first_question() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = NO_SYSTEM
    rows, report = make(tokenizer, [SAMPLES[2]])
    assert "کوتاه پاسخ بده.\n\nپایتخت ایران؟" in tokenizer.decode(rows[0].ids)
    assert report.system_merged == 1


@pytest.mark.parametrize(
    ("template", "code"),
    [(None, "template.missing"), ("{% for m in messages %}{{ m['content'] }}\n{% endfor %}", "template.no_mask")],
)
def test_a_template_that_hides_the_end_of_an_answer_is_refused(template: str | None, code: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(StudioError) as raised:
        ChatTemplate.of_tokenizer(tokenizer)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("direction", "answers"), [("fa-en", ["Rain."]), ("en-fa", ["باران."]), ("both", ["Rain.", "باران."])]
)
def test_pairs_become_translation_chats(tokenizer: Any, direction: str, answers: list[str]) -> None:
    rows, _ = make(tokenizer, [Pair("باران.", "Rain.")], direction=direction)
    assert [trained_texts(tokenizer, row) for row in rows] == [[f"{answer}<|im_end|>"] for answer in answers]


def test_a_text_is_trained_whole_and_ends_once(tokenizer: Any) -> None:
    text = "سارا هر روز صبح به باغ می‌رود. " * 8
    rows, _ = make(tokenizer, [Text(text)], length=40)
    assert all(len(row.ids) <= 40 and row.ids[0] == DOCUMENT_START for row in rows)
    pieces = [token for row in rows for token in row.labels if token != IGNORED]
    assert tokenizer.decode(pieces[:-1]) == text
    assert pieces[-1] == TURN_END
    assert TURN_END not in pieces[:-1]
