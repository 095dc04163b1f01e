"""All commands, in the order and the groups in which ``moorline --help`` shows them."""

from collections.abc import Callable
from typing import Annotated

import typer

from moorline.cli import (
    admitting,
    cataloguing,
    connecting,
    developing,
    ending,
    figures,
    operating,
    reading,
    rekeying,
    syncing,
    telling,
    using,
)
from moorline.cli.help import Command, Group

app = typer.Typer(
    cls=Group,
    name="moorline",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

GROUPS: dict[str, list[Callable[..., None]]] = {
    "Try it on this machine": [telling.demo, developing.dev],
    "Connections": [
        connecting.connect,
        connecting.authorize,
        reading.list_,
        reading.show,
        reading.explain,
        reading.watch,
        reading.events,
        using.token,
        using.refresh,
        using.rename,
        ending.revoke,
        ending.disconnect,
    ],
    "Data": [
        syncing.sync,
        figures.accounts,
        figures.holdings,
        figures.transactions,
        figures.balances,
    ],
    "Operate": [
        operating.worker,
        operating.gateway,
        operating.migrate,
        operating.setup,
        operating.doctor,
    ],
}


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"moorline {version('moorline')}")
        raise typer.Exit


@app.callback()
def moorline(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """Keeps user-granted connections to data providers alive."""


for _panel, _commands in GROUPS.items():
    for _command in _commands:
        _name = _command.__name__.rstrip("_")
        app.command(_name, cls=Command, rich_help_panel=_panel)(_command)

for _group in (cataloguing.providers, rekeying.keys, admitting.apikeys):
    app.add_typer(_group, rich_help_panel="Operate")
