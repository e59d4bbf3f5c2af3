"""The Modelfile's template writes what the model's own does, and every end of an answer is a stop."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from studio.models.render import render_chat
from studio.publish.gguf.modelfile import Turns, find_turns, go_template, write_modelfile
from tests.tiny import CHAT_TEMPLATE
from tests.unit.publish.gotemplate import render

NAMED = {"bos_token": "<s>", "eos_token": "</s>"}

SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA_3 = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
GEMMA_3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for message in rest %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') + message['content'] | trim"
    " + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
PHI_3 = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles') }}"
    "{% endif %}{% endfor %}"
)
PERSIAN = (
    "{% for message in messages %}{{ ('پرسش‌گر:\t' if message['role'] == 'user' else 'پاسخ‌گو: {{ \"\"\" ')"
    " + message['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'پاسخ‌گو: {{ \"\"\" ' }}{% endif %}"
)
FAMILIES = {
    "chatml": CHAT_TEMPLATE,
    "smollm": SMOLLM,
    "llama-2": LLAMA_2,
    "llama-3": LLAMA_3,
    "gemma": GEMMA,
    "gemma-3": GEMMA_3,
    "phi-3": PHI_3,
    "mistral": MISTRAL,
    "persian": PERSIAN,
}
REFUSES_SYSTEM = ("gemma", "mistral")


def chat(roles: str) -> list[dict[str, str]]:
    names = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": names[role], "content": f"متن {place}: «۱۲ {role}» {{x}}"} for place, role in enumerate(roles)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("roles", ["u", "uau", "uauau", "su", "suau"])
def test_go_template_writes_what_the_models_own_writes(family: str, roles: str) -> None:
    template = FAMILIES[family]
    turns = find_turns(template, NAMED)
    assert turns is not None
    messages = chat(roles)
    ours = render(go_template(turns), messages)
    if "s" in roles and family in REFUSES_SYSTEM:  # what training does with it
        joined = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
        messages = [joined, *messages[2:]]
    assert ours == render_chat(template, messages, add_generation_prompt=True, special_tokens=NAMED)


def test_a_start_token_that_llama_cpp_writes_is_not_written_twice() -> None:
    turns = find_turns(GEMMA, NAMED)
    assert turns is not None
    whole, rest = (render(go_template(turns, start), chat("uau")) for start in (None, "<s>"))
    assert whole == f"<s>{rest}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ strftime_now('%d %b %Y') }}" + CHAT_TEMPLATE,
        "{{ messages[-1]['content'] }}",
        "{% for message in messages %}{{ loop.index }} {{ message['content'] }}{% endfor %}",
        "{{ raise_exception('no') }}",
    ],
)
def test_a_template_without_an_equal_is_left_out(template: str) -> None:
    assert find_turns(template, NAMED) is None


def test_the_file_survives_ollamas_reading(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").write_text(PERSIAN, encoding="utf8")
    found = write_modelfile("نام من-q8_0.gguf", folder, adds_start=True)
    assert found.has_template
    assert "FROM ./نام من-q8_0.gguf\n" in found.text
    quoted = re.search(r'TEMPLATE """(.*?)"""\n', found.text, re.DOTALL)
    assert quoted is not None
    # Ollama keeps printable characters, spaces, tabs and line ends of a value, and drops all others.
    kept = "".join(each for each in quoted[1] if each.isprintable() or each in "\n\t")
    wanted = render_chat(PERSIAN, chat("uau"), add_generation_prompt=True, special_tokens=NAMED)
    assert render(kept, chat("uau")) == wanted


def test_every_end_of_an_answer_is_a_stop(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    generation = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(generation | {"eos_token_id": [0]}))
    found = write_modelfile("x.gguf", folder, adds_start=False)
    assert re.findall(r'PARAMETER stop "(.*)"', found.text) == ["<|endoftext|>", "<|im_end|>"]


def test_a_model_without_template_gets_none(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%d') }}", encoding="utf8")
    assert "TEMPLATE" not in write_modelfile("x.gguf", folder, adds_start=False).text.replace("# ", "")
    (folder / "chat_template.jinja").unlink()
    assert not write_modelfile("x.gguf", folder, adds_start=False).has_template


def test_turns_write_a_chat() -> None:
    turns = Turns("<", "{", "}", "|", "|last", "?")
    assert turns.write(chat("u")[:1]).endswith("|last")
