"""``vocabulary learn | list | cut | report | start | apply``: extend a tokenizer and see what that is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from studio.commands.speech import Detach, Json, Language, Model, Workspace, speaking
from studio.i18n import number, say
from studio.services import rows, vocabulary
from studio.tokenizer.vocabulary import Method

app = typer.Typer(no_args_is_help=True, help="Vocabulary expansion: learn, list, cut, report, start, apply.")

Keep = Literal["best", "random", "mean", "weighted", "last", "distilled", "fitted"]
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


@app.command("list")
def list_(json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """List the vocabularies of the workspace."""
    with speaking(json, workspace, language) as speech:
        found = [
            {
                "name": name,
                "base": each.base,
                "method": each.method,
                "added": each.added,
                "total_vocabulary": each.base_vocabulary + each.added,
            }
            for name, each in vocabulary.listing(speech.studio)
        ]
        lines = [f"{each['name']}\t{each['base']}\t{each['added']}" for each in found]
        speech.tell({"vocabularies": found}, *lines or [""])


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


@app.command("start")
def start(
    folder: Folder,
    keep: Annotated[Keep, typer.Option("--keep", help="The start whose rows stay in the folder.")] = "best",
    model: Annotated[str | None, typer.Option("--model", help="The base; else the one it was learned for.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Of fitting; else as this machine can.")] = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Make start rows for the new tokens: several ways are measured in bits per byte, and one is kept."""
    with speaking(json, workspace, language) as speech:
        job = rows.start_rows(speech.studio, folder.expanduser().resolve(), model=model, keep=keep, steps=steps)
        found = speech.follow(job, detach=detach)
        speech.tell(found, *_starts(speech.locale, found))


@app.command("apply")
def apply(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", help="Model folder to write; else one in the workspace.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The base; else the one it was learned for.")] = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Write the base with the new tokens and their start rows as a model folder, to chat with and to train."""
    with speaking(json, workspace, language) as speech:
        target = None if out is None else out.expanduser().resolve()
        job = rows.expand(speech.studio, folder.expanduser().resolve(), model=model, out=target)
        found = speech.follow(job, detach=detach)
        speech.tell(found, *([found["out"]] if "out" in found else []))


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


def _starts(locale: str, found: dict[str, Any]) -> list[str]:
    """Each start with its bits per byte, below the base's own."""
    if "starts" not in found:  # a job that was stopped
        return []
    lines = [(say(locale, "starts.base"), found["base_fa"], found["base_en"], "")]
    for each in found["starts"]:
        kept = f"✓ {say(locale, 'starts.kept')}" if each["method"] == found["chosen"] else ""
        lines.append((say(locale, f"starts.method.{each['method']}"), each["fa"], each["en"], kept))
    return [f"{name}\tfa {number(locale, fa, 3)}\ten {number(locale, en, 3)}\t{kept}" for name, fa, en, kept in lines]
