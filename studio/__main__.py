"""``python -m studio VERB``: the studio without a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.commands import (
    adapter,
    data,
    evaluation,
    export,
    history,
    jobs,
    merging,
    models,
    owner,
    prices,
    prompts,
    publish,
    recipes,
    reports,
    runs,
    sharing,
    vocabulary,
)
from studio.commands.speech import Language, Workspace

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.add_typer(data.app, name="data")
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(recipes.app, name="recipes")
app.add_typer(history.app, name="runs")
app.add_typer(vocabulary.app, name="vocabulary")
app.add_typer(evaluation.app, name="suites")
app.command()(models.fertility)
app.command()(models.bits)
app.command()(models.chat)
app.command()(prompts.prompts)
app.command()(merging.merge)
app.command()(merging.verify)
app.command()(merging.towards)
app.command()(adapter.pack)
app.command()(export.export)
app.command()(publish.publish)
app.command()(runs.run)
app.command()(runs.estimate)
app.command()(evaluation.evaluate)
app.command()(evaluation.compare)
app.command()(reports.report)
app.command()(prices.prices)
app.command()(owner.owner)
app.command()(sharing.share)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host")] = None,
    port: Annotated[int | None, typer.Option("--port")] = None,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Start the pages, as ``python app.py`` does."""
    from app import main

    raise typer.Exit(main(workspace=workspace, host=host, port=port, language=language))


if __name__ == "__main__":
    app()
