"""``slipway model …``."""

from __future__ import annotations

import typer

from slipway.cli import models, restore, transfer, verify

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def model() -> None:
    """Show, list, register, download and verify versions of a model."""


app.command("show")(models.show)
app.command("versions")(models.versions)
app.command("restore")(restore.restore)
app.command("register")(transfer.register)
app.command("pull")(transfer.pull)
app.command("verify")(verify.verify)
