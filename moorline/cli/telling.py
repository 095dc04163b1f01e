"""``demo``: the story of a connection, told on a stack of its own."""

import asyncio
import sys
from typing import Annotated

import typer


def demo(
    json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object on standard output.")
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep everything running at the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Tell the life of a connection on real parts; exit 0 only if every step held.

    Its state is in .moorline/demo/ and begins anew each time; its ports are free ones.
    """
    from rich.console import Console

    from moorline.demo.story import tell
    from moorline.settings import STATE

    # With --json, standard output is for the report alone.
    report = asyncio.run(tell(STATE / "demo", Console(stderr=json), hold=hold))
    if json:
        typer.echo(report.model_dump_json())
    sys.exit(0 if report.ok else 1)
