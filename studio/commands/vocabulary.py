"""``vocabulary learn | cut | report``: extend a tokenizer to another script and see what that is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from studio.commands.speech import Detach, Json, Language, Model, Workspace, speaking
from studio.i18n import say
from studio.services import vocabulary
from studio.tokenizer.vocabulary import Method

app = typer.Typer(no_args_is_help=True, help="Vocabulary expansion: learn, cut, report.")

Out = Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist or be empty.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a learned vocabulary.")]


@app.command("learn")
def learn(
    model: Model,
    corpus: Annotated[list[str], typer.Option("--corpus", metavar="FILE|DATASET", help="Repeat it, or list more.")],
    out: Out,
    more: Annotated[list[str] | None, typer.Argument(metavar="[FILE|DATASET]…")] = None,
    size: Annotated[int, typer.Option("--size", help="New tokens.")] = 20_000,
    method: Annotated[Method, typer.Option("--method", help="The others are for comparison.")] = "continued",
    script: Annotated[str, typer.Option("--script", help="Unicode script; arabic is Persian's.")] = "arabic",
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Learn new tokens for the tokenizer of a model; a folder with nothing but tokenizer files is enough."""
    with speaking(json, workspace, language) as speech:
        job = vocabulary.start_learn(
            speech.studio,
            model,
            [*corpus, *(more or [])],
            size,
            out.expanduser().resolve(),
            method=method,
            script=script,
        )
        found = speech.follow(job, detach=detach)
        speech.tell(found, *_lines(speech.locale, found))


@app.command("cut")
def cut(
    folder: Folder,
    size: Annotated[int, typer.Option("--size", help="New tokens to keep, the first that were learned.")],
    out: Out,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Make a smaller vocabulary of a learned one; nothing is learned again."""
    with speaking(json, workspace, language) as speech:
        found = vocabulary.cut(folder.expanduser(), size, out.expanduser().resolve())
        speech.tell(found, *_lines(speech.locale, found))


@app.command("report")
def report(
    folder: Folder,
    text: Annotated[Path, typer.Option("--text", help="A text file in the target language.")],
    english: Annotated[Path | None, typer.Option("--english", help="Text that ought to keep its ids.")] = None,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Tokens per word before and after, and whether English changed."""
    with speaking(json, workspace, language) as speech:
        found = vocabulary.report(folder.expanduser(), text.expanduser(), english and english.expanduser())
        speech.tell(found, *_lines(speech.locale, found))


def _lines(locale: str, found: dict[str, Any]) -> list[str]:
    if "added" not in found:  # a job that was stopped
        return []
    lines = [say(locale, "vocabulary.sizes", added=found["added"], total=found["total_vocabulary"])]
    before, after = found["base_tokens_per_word"], found["tokens_per_word"]
    lines.append(say(locale, "vocabulary.fertility_change", before=before, after=after))
    if "english_checked" in found:
        changed, checked = found["english_changed"], found["english_checked"]
        lines.append(say(locale, "vocabulary.english", changed=changed, checked=checked))
    return lines
