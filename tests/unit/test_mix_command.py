"""``data mix`` as a terminal runs it: the agreed keys, what is refused, and nothing half-stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import command

MIX = {"name", "kind", "licence", "rows", "characters", "tokens", "budget", "sources", "held_out", "warnings",
       "seconds", "peak_memory_bytes"}  # fmt: skip


def test_datasets_are_mixed_by_weight_and_split(tmp_path: Path, tiny_model: Path) -> None:
    workspace, model = tmp_path / "workspace", f"local:{tiny_model}"
    for name, line in (
        ("news", "باران تند دیشب راه روستا را بست"),
        ("wiki", "The river is long and the village is small"),
    ):
        file = tmp_path / f"{name}.txt"
        file.write_text("".join(f"{line} {number}\n" for number in range(200)), encoding="utf8")
        command(workspace, "data", "import", str(file), "--name", name, "--licence", "CC0-1.0")
    told = command(workspace, "data", "mix", "news=1", "--out", "mixed", "--tokens", "2000", "--model", model,
                   "--held-out", "0.1", "--seed", "7")  # fmt: skip
    assert set(told) == MIX | {"job", "run", "state"}
    assert (told["name"], told["kind"], told["licence"], told["budget"]) == ("mixed", "text", "CC0-1.0", 2000)
    assert told["tokens"] == pytest.approx(2000, abs=60)
    assert [(part["dataset"], round(part["share"], 1)) for part in told["sources"]] == [("news", 0.9), ("wiki", 0.1)]
    assert set(told["sources"][0]) >= {"rows", "tokens", "share", "passes"}
    assert told["held_out"]["name"] == "mixed-held-out"
    assert [(each["code"], each["names"]) for each in told["warnings"]] == [("replay", "wiki")]
    assert "wiki" in told["warnings"][0]["message"]
    manifests = {each["name"]: each for each in command(workspace, "data", "list")["datasets"]}
    assert manifests["mixed"]["mixed"]["order"]["seed"] == 7
    assert manifests["mixed-held-out"]["mixed"]["part"] == "held_out"
    for words, code in (
        (["news", "news"], "mix.same_twice"), (["news=0"], "mix.bad_weight"), (["news=x"], "mix.bad_weight"),
        (["none"], "data.no_such_dataset"), (["news", "--tokens", "0"], "mix.bad_budget"),
        (["news", "--cap", "0"], "mix.bad_cap"), (["news", "--vocabulary", "v"], "mix.two_tokenizers"),
    ):  # fmt: skip
        refused = command(workspace, "data", "mix", *words, "--out", "other", "--model", model, status=1)
        assert refused["error"] == code
    refused = command(workspace, "data", "mix", "news", "--out", "other", "--tokens", "2", "--model", model, status=1)
    assert refused["error"] == "mix.budget_too_small"
    assert {each["name"] for each in command(workspace, "data", "list")["datasets"]} == set(manifests)
