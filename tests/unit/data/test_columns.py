from __future__ import annotations

import json

import pytest

from studio.data.columns import FORMS, Mapping, check_mapping, guess, make_mapping
from studio.errors import StudioError

FA = "امروز به کتابخانه رفتم و کتابی دربارهٔ ستاره‌ها خواندم."
EN = "Today I went to the library and read a book about stars."
TURNS = [{"role": "user", "content": FA}, {"role": "assistant", "content": EN}]
SHARED = [{"from": "human", "value": FA}, {"from": "gpt", "value": EN}]


@pytest.mark.parametrize(
    ("row", "form", "columns"),
    [
        ({"text": FA}, "text", {"text": "text"}),
        ({"id": 7, "title": "کتاب", "text": FA}, "text", {"text": "text"}),
        ({"id": "a7", "body": FA}, "text", {"text": "body"}),
        ({"title": "کتاب", "review": FA * 3, "score": 4}, "text", {"text": "review"}),
        ({"متن": FA}, "text", {"text": "متن"}),
        ({"prompt": FA, "response": FA}, "prompt_response", {"prompt": "prompt", "response": "response"}),
        ({"Question": FA, "Answer": EN}, "prompt_response", {"prompt": "Question", "response": "Answer"}),
        (
            {"inputs": FA, "targets": FA, "language": "fas"},
            "prompt_response",
            {"prompt": "inputs", "response": "targets"},
        ),
        ({"پرسش": FA, "پاسخ": FA}, "prompt_response", {"prompt": "پرسش", "response": "پاسخ"}),
        (
            {"system": FA, "instruction": FA, "output": FA},
            "prompt_response",
            {"prompt": "instruction", "response": "output", "system": "system"},
        ),
        (
            {"instruction": FA, "input": "", "output": FA},
            "alpaca",
            {"instruction": "instruction", "input": "input", "output": "output"},
        ),
        (
            {"instruction": FA, "input": None, "response": EN},
            "alpaca",
            {"instruction": "instruction", "input": "input", "output": "response"},
        ),
        ({"id": 1, "messages": TURNS}, "messages", {"messages": "messages"}),
        ({"dialog": TURNS, "system": FA}, "messages", {"messages": "dialog", "system": "system"}),
        ({"messages": json.dumps(TURNS)}, "messages", {"messages": "messages"}),
        ({"conversations": SHARED}, "sharegpt", {"conversations": "conversations"}),
        ({"fa": FA, "en": EN}, "pair", {"fa": "fa", "en": "en"}),
        ({"English": EN, "Persian": FA, "id": 3}, "pair", {"fa": "Persian", "en": "English"}),
        ({"source": EN, "target": FA}, "pair", {"fa": "target", "en": "source"}),
        ({"column_1": FA, "column_2": EN}, "pair", {"fa": "column_1", "en": "column_2"}),
        ({"translation": {"en": EN, "fa": FA}}, "translation", {"translation": "translation"}),
        ({"translation": {"eng": EN, "pes": FA}}, "translation", {"translation": "translation"}),
    ],
)
def test_columns_are_guessed_from_names_and_content(row, form, columns) -> None:
    mapping = guess(list(row), [row] * 3)
    assert (mapping.form, mapping.columns) == (form, columns)
    check_mapping(mapping, list(row))


def test_exchanged_headings_are_seen_in_the_script() -> None:
    assert guess(["fa", "en"], [{"fa": EN, "en": FA}]).columns == {"fa": "en", "en": "fa"}


def test_two_persian_columns_are_no_pair() -> None:
    assert guess(["fa", "en"], [{"fa": FA, "en": FA + FA}]).form == "text"


def test_an_english_label_beside_a_persian_text_is_no_translation() -> None:
    rows = [{"review": FA, "label": "HAPPY"}] * 4
    assert guess(["review", "label"], rows).columns == {"text": "review"}


@pytest.mark.parametrize("row", [{"id": 1, "score": 2.5}, {"id": "17", "date": "1403-02-01"}, {"words": ["a"]}])
def test_nothing_to_read_is_said(row) -> None:
    with pytest.raises(StudioError) as caught:
        guess(list(row), [row])
    assert caught.value.code == "data.no_text_column"


def test_a_column_that_does_not_exist() -> None:
    with pytest.raises(StudioError) as caught:
        check_mapping(make_mapping("text", text="body"), ["id", "text"])
    assert caught.value.code == "data.no_such_column"
    assert caught.value.details == {"column": "body", "columns": "id, text"}


@pytest.mark.parametrize(
    "mapping",
    [
        make_mapping("pair", fa="fa"),
        make_mapping("pair", fa="fa", en=""),
        make_mapping("text", text="fa", prompt="en"),
        Mapping(kind="chat", form="text", columns={"text": "fa"}),
    ],
)
def test_a_mapping_that_does_not_add_up(mapping) -> None:
    with pytest.raises(StudioError) as caught:
        check_mapping(mapping, ["fa", "en"])
    assert caught.value.code == "data.mapping_incomplete"


@pytest.mark.parametrize(
    ("roles", "form", "columns"),
    [
        ({"text": "body"}, "text", {"text": "body"}),
        ({"prompt": "question"}, "prompt_response", {"prompt": "question", "response": "b"}),
        ({"fa": "x", "en": "y"}, "pair", {"fa": "x", "en": "y"}),
        ({"instruction": "x", "output": "y"}, "alpaca", {"instruction": "x", "output": "y"}),
    ],
)
def test_a_user_names_parts_and_the_guess_fills_the_rest(roles, form, columns) -> None:
    mapping = Mapping.from_roles(roles, make_mapping("prompt_response", prompt="a", response="b"))
    assert (mapping.form, mapping.columns, mapping.kind) == (form, columns, FORMS[form].kind)


@pytest.mark.parametrize("roles", [{"txt": "body"}, {"text": "a", "fa": "b"}])
def test_parts_that_no_form_has(roles) -> None:
    with pytest.raises(StudioError) as caught:
        Mapping.from_roles(roles, make_mapping("text", text="a"))
    assert caught.value.code == "data.no_such_part"


def test_a_mapping_travels_as_json() -> None:
    mapping = make_mapping("pair", fa="a", en="b")
    assert Mapping.model_validate_json(mapping.model_dump_json()) == mapping
