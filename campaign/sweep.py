"""``python -m campaign.sweep``: kill a process at every point, and compare what follows.

Each point has a world of its own on shared servers, at a provider with a grace window and at one
without; some run at once. Leaves with 1 where a fate is not as expected, where anything that must
hold does not, or where a point was not reached.
"""

import asyncio
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from campaign import verdicts
from campaign.drives import DRIVES
from campaign.driving import Drive
from campaign.points import POINTS, Point
from campaign.scene import NotReached, Scene
from campaign.syncing import READER
from moorline import logs
from moorline.cli.pictures import table
from tests.world import Servers, new_world, servers_up, until

WIDE = 160
AT_ONCE = 10
GRACE_S = 60
MORE = 1_000
"""So many transactions are more than a page, or two."""
HEADINGS = ("POINT", "GRACE", "EXPECTED", "ACTUAL", "SECONDS")


@dataclass(frozen=True)
class Trial:
    """One point at one kind of provider."""

    point: Point
    grace: bool

    @property
    def expected(self) -> str:
        """What the table says."""
        return self.point.with_grace if self.grace else self.point.without_grace


@dataclass(frozen=True)
class Result:
    """What came of a trial."""

    trial: Trial
    actual: str
    broken: tuple[str, ...]
    seconds: float = 0
    """From when its successor was ready."""

    @property
    def good(self) -> bool:
        """Whether all is as it must be."""
        return self.actual == self.trial.expected and not self.broken

    def as_row(self) -> tuple[str, ...]:
        """A line of the printed table."""
        point, actual = self.trial.point, "as expected" if self.good else self.actual
        if self.broken:
            actual = "; ".join([self.actual, *self.broken])
        grace = "yes" if self.trial.grace else "no"
        return (point.title, grace, self.trial.expected, actual, f"{self.seconds:.0f}")


def trials_of(points: Sequence[Point]) -> list[Trial]:
    """Each of them at both kinds of provider."""
    return [Trial(point, grace) for point in points for grace in (True, False)]


async def sweep(trials: Sequence[Trial], at_once: int) -> list[Result]:
    """Try them all, some at once; each result is told when it is there.

    A polite end takes servers and folders away.
    """
    task, turn = asyncio.current_task(), asyncio.Semaphore(at_once)
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    async def one(servers: Servers, folder: Path, trial: Trial) -> Result:
        async with turn:
            result = await _tried(servers, folder, trial)
        typer.echo(" | ".join(["ok " if result.good else "BAD", *result.as_row()]), err=True)
        return result

    with tempfile.TemporaryDirectory() as top:
        async with servers_up(Path(top)) as servers:
            await servers.sandbox.grow(READER, MORE)
            folders = _folders(Path(top), len(trials))
            pairs = zip(folders, trials, strict=True)
            return await asyncio.gather(*(one(servers, *pair) for pair in pairs))


def _folders(top: Path, count: int) -> list[Path]:
    folders = [top / f"trial-{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
    return folders


async def _tried(servers: Servers, folder: Path, trial: Trial) -> Result:
    try:
        return await attempt(servers, folder, trial)
    except NotReached as error:
        return Result(trial, str(error), ("not reached",))
    except Exception as error:  # noqa: BLE001 -- one trial must not end the others
        traceback.print_exception(error)
        return Result(trial, f"{type(error).__name__}: {error}", ("not judged",))


async def attempt(servers: Servers, folder: Path, trial: Trial) -> Result:
    """Kill the process at the point, let a successor go on, and judge."""
    drive = DRIVES[trial.point.operation]()
    rotation = "grace" if trial.grace else "strict"
    entry = drive.entry(servers)
    async with new_world(servers, folder, entry=entry, rotation=rotation, grace_s=GRACE_S) as world:
        scene = Scene.of(world, trial.point.place)
        await drive.kill(scene)
        async with drive.succeed(scene):
            actual, seconds = await _settled(drive, scene)
            broken = await verdicts.broken(scene, grace=trial.grace)
            if seconds > drive.settles_within_s:
                broken.append(f"settled after {drive.settles_within_s:.0f} s only")
            await asyncio.gather(*scene.asked, return_exceptions=True)
    return Result(trial, actual, tuple(broken), seconds)


async def _settled(drive: Drive, scene: Scene) -> tuple[str, float]:
    async def fate() -> str | None:
        return await drive.fate(scene)

    began = time.monotonic()
    try:
        found = await until(fate)
    except TimeoutError:
        found = "not settled"
    return found, time.monotonic() - began


def main(
    only: Annotated[str, typer.Option(help="Points whose title begins like this.")] = "",
    at_once: Annotated[int, typer.Option(help="How many run at the same time.")] = AT_ONCE,
) -> None:
    """Print expected and actual fates, each judged by the provider's own log."""
    logs.set_up("CRITICAL", "console")
    logs.forward_temporal("CRITICAL")
    chosen = [point for point in POINTS if point.title.startswith(only)]
    began = time.monotonic()
    try:
        results = asyncio.run(sweep(trials_of(chosen), at_once))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    Console(width=WIDE).print(table(HEADINGS, [each.as_row() for each in results]))
    bad = [each for each in results if not each.good]
    took = time.monotonic() - began
    print(f"{len(results)} kills, {len(bad)} not as expected, {took:.0f} s")
    sys.exit(1 if bad or not results else 0)


if __name__ == "__main__":
    typer.run(main)
