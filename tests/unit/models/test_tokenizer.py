from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.models.render import render_chat
from studio.models.tokenizer import end_tokens, load_tokenizer, special_tokens
from tests.tiny import CHAT_TEMPLATE, SENTENCES, TURN_END


def test_pages_and_training_see_the_same_tokens(tiny_model: Path) -> None:
    from studio.models.files import ModelFiles
    from studio.models.load import load_base

    _, trained = load_base(ModelFiles("local:x", "local:x", tiny_model, tiny_model))
    shown = load_tokenizer(tiny_model)
    for sentence in SENTENCES:
        assert trained(sentence, add_special_tokens=False).input_ids == shown.encode(sentence).ids


def test_a_changed_file_is_read_anew(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_model / "tokenizer.json", tmp_path)
    first = load_tokenizer(tmp_path)
    assert load_tokenizer(tmp_path) is first
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf8")
    with pytest.raises(StudioError) as error:
        load_tokenizer(tmp_path)
    assert error.value.code == "model.broken_file"


def test_special_tokens_and_ends(tiny_model: Path) -> None:
    assert special_tokens(tiny_model)["eos_token"] == "<|im_end|>"
    assert end_tokens(tiny_model) == (TURN_END,)


def test_messages_become_the_text_the_template_says() -> None:
    messages = [{"role": "user", "content": "سلام"}]
    text = render_chat(CHAT_TEMPLATE, messages, add_generation_prompt=True, special_tokens={})
    assert text == "<|im_start|>user\nسلام<|im_end|>\n<|im_start|>assistant\n"


def test_a_template_that_refuses_gives_its_reason() -> None:
    with pytest.raises(StudioError) as error:
        render_chat("{{ raise_exception('no system') }}", [], add_generation_prompt=False, special_tokens={})
    assert error.value.code == "model.template_refused"
    assert error.value.details["reason"] == "no system"


def test_gemmas_turns_put_the_system_message_before_the_first_question() -> None:
    template = (Path(__file__).parents[3] / "presets" / "chat" / "gemma.jinja").read_text(encoding="utf8")
    messages = [("system", "S"), ("user", " a "), ("assistant", "b"), ("user", "c")]
    text = render_chat(
        template,
        [{"role": role, "content": content} for role, content in messages],
        add_generation_prompt=True,
        special_tokens={"bos_token": "<bos>"},
    )
    turns = ["user\nS\n\na", "model\nb", "user\nc"]
    whole = "".join(f"<start_of_turn>{turn}<end_of_turn>\n" for turn in turns)
    assert text == f"<bos>{whole}<start_of_turn>model\n"
