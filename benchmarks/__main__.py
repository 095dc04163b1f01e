"""``python -m benchmarks``: run them on stacks of their own, print the table, write JSON."""

import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.all import ALL, ONCE
from benchmarks.figures import Effort, Figure
from benchmarks.ground import ground
from moorline import logs
from moorline.cli.pictures import table

WIDE = 160
FILE = Path(".moorline/bench.json")
HEADINGS = ("BENCHMARK", "CONNECTIONS", "RATIO", "AIM", "IN THIS RUN")


def main(
    connections: Annotated[list[int] | None, typer.Option(help="How many; more than once.")] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(ALL)}.")] = None,
    seconds: Annotated[float, typer.Option(help="How long each side is counted.")] = 20,
    json_file: Annotated[str, typer.Option("--json", help="Where JSON goes; - prints it.")] = str(
        FILE
    ),
) -> None:
    """Print ratios, each taken in one run on this machine."""
    logs.set_up("CRITICAL", "console")
    logs.forward_temporal("CRITICAL")
    warnings.simplefilter("ignore")  # what is terminated when it has been measured complains
    if unknown := set(only or []) - set(ALL):
        raise typer.BadParameter(f"no benchmark is named {', '.join(sorted(unknown))}")
    file = None if json_file == "-" else Path(json_file)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    run = _Run(file)
    try:
        asyncio.run(run.measure(connections or [100, 1000], only or list(ALL), seconds))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    if file is None:
        sys.stdout.write(run.text())
    else:
        Console(width=WIDE).print(table(HEADINGS, [figure.as_row() for figure in run.figures]))


class _Run:
    """One run, written down after each benchmark: what was measured is not lost with the rest."""

    def __init__(self, file: Path | None) -> None:
        self.figures: list[Figure] = []
        self._file = file
        self._loads: list[float] = []
        self._began = time.monotonic()
        self._at = datetime.now(UTC)

    async def measure(self, sizes: Sequence[int], names: Sequence[str], seconds: float) -> None:
        """Measure all of these; a polite end takes servers and folders away."""
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        for name in names:
            for size in sizes[:1] if name in ONCE else sizes:
                self._loads.append(round(os.getloadavg()[0], 1))
                self._note(name, await _measured(name, Effort(size, seconds)))

    def _note(self, name: str, figures: Sequence[Figure]) -> None:
        self.figures += figures
        for figure in figures:
            passed = f"{time.monotonic() - self._began:4.0f} s"
            typer.echo(" | ".join([passed, name, *figure.as_row()]), err=True)
        if self._file is not None:
            self._file.write_text(self.text())

    def text(self) -> str:
        """The run as JSON."""
        figures: list[dict[str, Any]] = [figure.as_json() for figure in self.figures]
        run = {
            "at": self._at.isoformat(timespec="seconds"),
            "took_s": round(time.monotonic() - self._began),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_before_each": self._loads,
            "figures": figures,
        }
        return json.dumps(run, indent=2) + "\n"


async def _measured(name: str, effort: Effort) -> list[Figure]:
    # A stack for each: what one left behind must not slow the next.
    with tempfile.TemporaryDirectory() as folder:
        async with ground(Path(folder) / "stack") as servers:
            return await ALL[name](servers, effort)


if __name__ == "__main__":
    typer.run(main)
