"""``models fetch | list | code``, ``fertility``, ``bits``, ``chat``: what can be asked of a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from studio.commands.speech import Detach, Json, Language, Model, Workspace, speaking
from studio.i18n import say
from studio.models.files import locate
from studio.services import models, tokenizer, trust

app = typer.Typer(no_args_is_help=True, help="Base models: fetch, list, their own code.")


@app.command("fetch")
def fetch(
    reference: Annotated[str, typer.Argument(metavar="REF")],
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Bring a model into the workspace; one on disk is used as it is."""
    with speaking(json, workspace, language) as speech:
        speech.tell(speech.follow(models.start_fetch(speech.studio, reference), detach=detach))


@app.command("list")
def list_(json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """List the base models on disk."""
    with speaking(json, workspace, language) as speech:
        found = models.fetched(speech.studio)
        speech.tell({"models": found}, *found or [""])


@app.command("code")
def code(
    reference: Annotated[str, typer.Argument(metavar="REF")],
    trusted: Annotated[
        bool | None, typer.Option("--trust/--distrust", help="Let these files run from now on, or no longer.")
    ] = None,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """List the Python files that a model brings along. Nothing runs them unless you trust them."""
    with speaking(json, workspace, language) as speech:
        if trusted is False:
            trust.distrust(speech.studio, reference)
        found = trust.trust(speech.studio, reference) if trusted else trust.look(speech.studio, reference)
        state = say(speech.locale, "code.trusted_note" if found.trusted else "code.off_note")
        speech.tell({"files": dict(found.files), "trusted": found.trusted}, state, *found.files)


def fertility(
    model: Model,
    text: Annotated[Path | None, typer.Option("--text", help="A text file, measured line by line.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="A dataset of the workspace.")] = None,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Tokens per word and their kin; a folder with nothing but tokenizer files is enough."""
    if (text is None) == (dataset is None):
        raise typer.BadParameter("give either --text or --dataset")
    with speaking(json, workspace, language) as speech:
        if text is not None:
            found = tokenizer.of_file(speech.studio, model, text.expanduser())
        else:
            found = tokenizer.of_dataset(speech.studio, model, str(dataset), characters=None)
        speech.tell(
            {
                "tokens": found.tokens,
                "words": found.words,
                "characters": found.characters,
                "bytes": found.bytes,
                "tokens_per_word": found.tokens_per_word,
                "characters_per_token": found.characters_per_token,
                "bytes_per_token": found.bytes_per_token,
                "continued_word_share": found.continued_word_share,
                "lines": found.lines,
            }
        )


def bits(
    model: Model,
    text: Annotated[Path, typer.Option("--text", help="txt (a document per line), jsonl or parquet (one per row).")],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Bits per byte of a text under a model: comparable across tokenizers."""
    with speaking(json, workspace, language) as speech:
        # The only verbs that load a model in the terminal's own process: torch is imported here and nowhere earlier.
        from studio.evaluation.bits import measure_model, read_documents

        documents = read_documents(text.expanduser())
        speech.tell(asdict(measure_model(model, documents, speech.studio.settings)))


def chat(
    model: Model,
    prompt: Annotated[str, typer.Option("--prompt", help="What to say to it.")],
    greedy: Annotated[bool, typer.Option("--greedy", help="Always the likeliest token.")] = False,
    system: Annotated[str | None, typer.Option("--system", help="System message.")] = None,
    tokens: Annotated[int, typer.Option("--max-tokens", min=1, max=8192, help="At most this many tokens.")] = 256,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    four_bits: Annotated[bool, typer.Option("--four-bits", help="Hold the base in four bits.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """One answer of a model."""
    with speaking(json, workspace, language) as speech:
        from studio.chat.engine import answer
        from studio.chat.requests import Message, Quantisation, Sampling

        messages = [Message(role="system", content=system)] if system else []
        messages.append(Message(role="user", content=prompt))
        sampling = Sampling(greedy=greedy, max_new_tokens=tokens, seed=seed)
        held: Quantisation = "nf4" if four_bits else "none"
        found = answer(locate(model, speech.studio.settings), messages, sampling, held)
        speech.tell(
            {
                "text": found.text,
                "tokens": found.tokens,
                "tokens_per_second": found.tokens_per_second,
                "characters_per_second": found.characters_per_second,
            },
            found.text,
        )
