"""``python -m benchmarks``: run them on a stack of their own, print the table, write JSON."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.figures import Figure
from benchmarks.ground import ground
from benchmarks.measured import ALL
from moorline import logs
from moorline.cli.pictures import table

WIDE = 160


def main(
    connections: Annotated[list[int] | None, typer.Option(help="How many; more than once.")] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(ALL)}.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Where all numbers are written, too.")
    ] = None,
) -> None:
    """Print ratios taken in one run on this machine."""
    logs.set_up("CRITICAL", "console")
    figures = asyncio.run(_measure(connections or [100, 1000], only or list(ALL)))
    headings = ("BENCHMARK", "CONNECTIONS", "RATIO", "AIM", "IN THIS RUN")
    Console(width=WIDE).print(table(headings, [figure.as_row() for figure in figures]))
    if json_file is not None:
        json_file.write_text(json.dumps([figure.as_json() for figure in figures], indent=2) + "\n")


async def _measure(sizes: list[int], names: list[str]) -> list[Figure]:
    figures = []
    for name in names:
        for size in sizes:
            # A stack for each: what one left behind must not slow the next.
            with tempfile.TemporaryDirectory() as folder:
                async with ground(Path(folder) / "stack") as servers:
                    for figure in await ALL[name](servers, size):
                        figures.append(figure)
                        typer.echo(" | ".join(figure.as_row()), err=True)
    return figures


if __name__ == "__main__":
    typer.run(main)
