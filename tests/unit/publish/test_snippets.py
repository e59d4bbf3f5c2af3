"""Commands of a card are commands: a shell reads them, whatever the export is called."""

from __future__ import annotations

import subprocess

import pytest

from studio.publish.cards.snippets import gguf_snippets, ollama_name

NAMES = ["first_steps-3-gguf", "مدل من", "it's $(touch x)`", 'odd"name', "-n"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", [True, False])
def test_gguf_commands_pass_the_file_as_one_argument(name: str, template: bool, tmp_path) -> None:
    seen = tmp_path / "seen"
    for program in ("llama-cli", "llama-completion", "ollama"):
        (tmp_path / program).write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >> {seen}\n')
        (tmp_path / program).chmod(0o755)
    for each in gguf_snippets(name, f"{name}-Q4_K_M.gguf", template):
        path = f"{tmp_path}:/usr/bin:/bin"
        subprocess.run(["bash", "-eu", "-c", each.text], check=True, cwd=tmp_path, env={"PATH": path})
    words = seen.read_text().splitlines()
    assert f"./{name}-Q4_K_M.gguf" in words
    assert ["create", ollama_name(name), "-f", "Modelfile", "run", ollama_name(name)] == words[-7:-1]
    assert not (tmp_path / "x").exists()


def test_ollama_names_keep_to_its_letters() -> None:
    assert ollama_name("First Steps_3") == "first-steps_3"
    assert ollama_name("مدل") == "model"


def test_ollama_is_left_out_without_a_model_file() -> None:
    assert [each.title for each in gguf_snippets("a", "a.gguf", True, None)] == ["card.use.llama_cpp"]
