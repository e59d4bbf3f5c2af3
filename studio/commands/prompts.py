"""``prompts``: fixed Persian prompts put to one model or several."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated, Any

import typer

from studio.chat.requests import NAMED
from studio.commands.speech import Json, Language, Speech, Workspace, speaking
from studio.services import chat, prompt_sets
from studio.services.chat import Column
from studio.services.prompt_sets import Table


def prompts(
    model: Annotated[list[str], typer.Option("--model", help="A model reference; once for each model.")],
    subjects: Annotated[
        list[str] | None, typer.Option("--set", help="A subject of presets/prompts.yaml; all of them without one.")
    ] = None,
    manner: Annotated[str, typer.Option("--manner", help=f"How to answer: {', '.join(NAMED)}.")] = "balanced",
    tokens: Annotated[int, typer.Option("--max-tokens", min=1, max=8192, help="At most this many tokens.")] = 128,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 3407,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Put the fixed prompts to all models at once and tell their answers, with what stands out about each."""
    if manner not in NAMED:
        raise typer.BadParameter(f"--manner is one of {', '.join(NAMED)}")
    sampling = NAMED[manner].model_copy(update={"max_new_tokens": tokens, "seed": seed})
    with speaking(json, workspace, language) as speech:
        ours = chat.status(speech.studio) is None
        chosen, name = subjects or list(prompt_sets.subjects()), secrets.token_hex(8)
        table = Table((), 0)
        try:
            for table in prompt_sets.ask_all(speech.studio, model, chosen, sampling, name=name):
                _progress(table)
        finally:
            if ours:  # a chat that a page had opened before stays
                chat.unload(speech.studio)
        _tell(speech, table)


def _progress(table: Table) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{len(table.rows)}/{table.total}")
        sys.stderr.flush()


def _tell(speech: Speech, table: Table) -> None:
    rows, lines = [], []
    for row in table.rows:
        rows.append({"subject": row.subject, "prompt": row.prompt, "answers": [_answer(each) for each in row.columns]})
        lines += ["", f"{row.subject}: {row.prompt}"]
        lines += [f"  {column.reference}: {column.finished.text}" for column in row.columns if column.finished]
    speech.tell({"models": list(table.models), "prompts": rows}, *lines)


def _answer(column: Column) -> dict[str, Any]:
    if column.refused is not None or column.finished is None:
        return {"model": column.reference, "error": column.refused.code if column.refused else None}
    return {
        "model": column.reference,
        "text": column.finished.text,
        "reason": column.finished.reason,
        "tokens": column.finished.tokens,
        "tokens_per_second": column.finished.tokens_per_second,
        "flags": {flag.kind: flag.value for flag in column.flags},
    }
