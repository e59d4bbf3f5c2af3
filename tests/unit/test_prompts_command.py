"""``prompts`` on the command line."""

from __future__ import annotations

from pathlib import Path

from studio.services import chat, prompt_sets
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.live import command
from tests.talking import make_talking_run


def test_prompts_go_to_all_models_and_the_memory_is_free_again(tmp_path: Path, tiny_model: Path) -> None:
    workspace = tmp_path / "workspace"
    studio = open_studio(Settings(workspace))
    make_talking_run(studio, "one-1", tiny_model)
    models = [f"local:{tiny_model}", "run:one-1"]
    words = [word for model in models for word in ("--model", model)]
    told = command(workspace, "prompts", *words, "--set", "consistency", "--manner", "careful", "--max-tokens", "8")
    known = prompt_sets.subjects()["consistency"]
    assert told["models"] == models
    assert [row["prompt"] for row in told["prompts"]] == list(known)
    for row in told["prompts"]:
        assert [answer["model"] for answer in row["answers"]] == models
        assert row["answers"][0]["text"] != row["answers"][1]["text"]
        assert all(answer["tokens"] == 8 for answer in row["answers"])
    assert chat.status(studio) is None
    refused = command(workspace, "prompts", "--model", models[0], "--set", "nonsense", status=1)
    assert refused["error"] == "prompts.unknown_subject"
