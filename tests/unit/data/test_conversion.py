from __future__ import annotations

import json

import pytest

from studio.data.columns import Dropped, Trimmed, make_mapping, to_sample
from studio.data.sample import Chat, Message, Pair, Text, kind_of, strings

MESSAGES = make_mapping("messages", messages="m")
SHAREGPT = make_mapping("sharegpt", conversations="m", system="s")


def chat(*turns) -> Chat:
    return Chat(tuple(Message(role, content) for role, content in turns))


def messages(*turns) -> dict[str, object]:
    return {"m": [{"role": role, "content": content} for role, content in turns]}


@pytest.mark.parametrize(
    ("mapping", "values", "sample"),
    [
        (make_mapping("text", text="t"), {"t": " سلام\nدنیا "}, Text(" سلام\nدنیا ")),
        (make_mapping("pair", fa="a", en="b"), {"a": "سلام", "b": "hi"}, Pair("سلام", "hi")),
        (make_mapping("translation", translation="t"), {"t": {"en": "hi", "pes": "سلام"}}, Pair("سلام", "hi")),
        (
            make_mapping("prompt_response", prompt="p", response="r", system="s"),
            {"p": "q", "r": "a", "s": "be kind"},
            chat(("system", "be kind"), ("user", "q"), ("assistant", "a")),
        ),
        (
            make_mapping("prompt_response", prompt="p", response="r", system="s"),
            {"p": "q", "r": "a", "s": None},
            chat(("user", "q"), ("assistant", "a")),
        ),
        (
            make_mapping("alpaca", instruction="i", input="n", output="o"),
            {"i": "ترجمه کن", "n": "hello", "o": "سلام"},
            chat(("user", "ترجمه کن\n\nhello"), ("assistant", "سلام")),
        ),
        (
            make_mapping("alpaca", instruction="i", input="n", output="o"),
            {"i": "شعر بگو", "n": " ", "o": "سلام"},
            chat(("user", "شعر بگو"), ("assistant", "سلام")),
        ),
        (
            MESSAGES,
            messages(("system", "s"), ("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b")),
            chat(("system", "s"), ("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b")),
        ),
        (
            MESSAGES,
            messages(("system", " "), ("user", "q"), ("assistant", "a")),
            chat(("user", "q"), ("assistant", "a")),
        ),
        (
            MESSAGES,
            {"m": json.dumps(messages(("developer", "s"), ("human", "q"), ("Assistant", "a"))["m"])},
            chat(("system", "s"), ("user", "q"), ("assistant", "a")),
        ),
        (
            MESSAGES,
            {
                "m": [
                    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                    {"role": "assistant", "content": "c", "name": "x"},
                ]
            },
            chat(("user", "ab"), ("assistant", "c")),
        ),
        (
            SHAREGPT,
            {"m": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "s": "be kind"},
            chat(("system", "be kind"), ("user", "q"), ("assistant", "a")),
        ),
    ],
)
def test_a_row_becomes_a_sample(mapping, values, sample) -> None:
    assert to_sample(values, mapping, 1) == sample
    assert kind_of(sample) == mapping.kind


@pytest.mark.parametrize(
    ("mapping", "values", "reason"),
    [
        (make_mapping("text", text="t"), {"t": None}, "missing_value"),
        (make_mapping("text", text="t"), {"x": "a"}, "missing_value"),
        (make_mapping("text", text="t"), {"t": 42}, "not_a_string"),
        (make_mapping("text", text="t"), {"t": " \n"}, "empty"),
        (make_mapping("text", text="t"), {"t": "a\ud83d"}, "broken_characters"),
        (make_mapping("pair", fa="a", en="b"), {"a": "سلام", "b": ""}, "empty"),
        (make_mapping("translation", translation="t"), {"t": {"en": "hi"}}, "missing_value"),
        (make_mapping("translation", translation="t"), {"t": "hi"}, "not_a_list"),
        (make_mapping("prompt_response", prompt="p", response="r"), {"p": "q", "r": " "}, "empty"),
        (make_mapping("alpaca", instruction="i", input="n", output="o"), {"i": "a", "n": 3, "o": "b"}, "not_a_string"),
        (MESSAGES, {"m": None}, "missing_value"),
        (MESSAGES, {"m": "hello"}, "not_a_list"),
        (MESSAGES, {"m": "[1, 2"}, "not_a_list"),
        (MESSAGES, {"m": ["a"]}, "not_a_list"),
        (MESSAGES, {"m": []}, "empty"),
        (MESSAGES, messages(("system", "s")), "empty"),
        (MESSAGES, messages(("user", "q")), "no_answer"),
        (MESSAGES, messages(("assistant", "a")), "bad_roles"),
        (MESSAGES, messages(("user", "q"), ("assistant", "a"), ("system", "s")), "bad_roles"),
        (
            MESSAGES,
            messages(("user", "q"), ("user", " "), ("assistant", "a"), ("user", ""), ("assistant", "b")),
            "empty_turn",
        ),
        (MESSAGES, messages(("user", "q"), ("system", "s"), ("assistant", "a")), "bad_roles"),
        (MESSAGES, messages(("user", "q"), ("tool", "3"), ("assistant", "a")), "tool_turn"),
        (MESSAGES, messages(("user", "q"), ("Function", "3"), ("assistant", "a")), "tool_turn"),
        (
            MESSAGES,
            {
                "m": [
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]},
                ]
            },
            "tool_turn",
        ),
        (MESSAGES, messages(("narrator", "q"), ("assistant", "a")), "unknown_role"),
        (MESSAGES, {"m": [{"role": 3, "content": "a"}]}, "unknown_role"),
        (MESSAGES, messages(("user", "q"), ("assistant", " ")), "empty_turn"),
        (MESSAGES, messages(("user", "q"), ("assistant", 5)), "not_a_string"),
        (MESSAGES, messages(("user", "q"), ("assistant", None)), "missing_value"),
        (MESSAGES, messages(("user", [{"type": "image"}]), ("assistant", "a")), "not_a_string"),
    ],
)
def test_a_row_that_gives_no_sample_says_why(mapping, values, reason) -> None:
    assert to_sample(values, mapping, 17) == Dropped(17, reason)


def test_an_open_question_at_the_end_is_cut() -> None:
    found = to_sample(messages(("user", "q"), ("assistant", "a"), ("user", "r"), ("user", "")), MESSAGES, 1)
    assert found == Trimmed(chat(("user", "q"), ("assistant", "a")), ("last_turn",))


def test_turns_of_one_speaker_in_a_row_become_one() -> None:
    told = (("system", "s"), ("system", "t"), ("user", "q"), ("user", " "), ("user", "r"), ("assistant", "a"),
            ("assistant", "b"), ("user", "open"))  # fmt: skip
    found = to_sample(messages(*told), MESSAGES, 1)
    joined = chat(("system", "s\n\nt"), ("user", "q\n\nr"), ("assistant", "a\n\nb"))
    assert found == Trimmed(joined, ("joined_turns", "last_turn"))
    assert to_sample(messages(*told[:-1]), MESSAGES, 1) == Trimmed(joined, ("joined_turns",))


@pytest.mark.parametrize(
    ("user", "assistant"),
    [("human", "gpt"), ("User", "Bot"), ("کاربر", "دستیار"), ("كاربر", "هوش‌مصنوعي"), ("انسان ", "مدل")],
)
def test_speakers_go_by_many_names(user: str, assistant: str) -> None:
    assert to_sample(messages((user, "q"), (assistant, "a")), MESSAGES, 1) == chat(("user", "q"), ("assistant", "a"))


def test_strings_are_the_texts_without_roles() -> None:
    assert strings(chat(("user", "q"), ("assistant", "a"))) == ("q", "a")
    assert strings(Pair("سلام", "hi")) == ("سلام", "hi")
