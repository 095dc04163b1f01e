"""``python -m campaign``: one campaign on a stack of its own, its table, and a verdict."""

import asyncio
import json
import shutil
import signal
import time
import warnings
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from campaign import clocks
from campaign.clients import connected
from campaign.diary import Diary
from campaign.gathering import gather
from campaign.nemesis import Nemesis
from campaign.operations import People
from campaign.parts import WORKERS, Parts, running
from campaign.plan import Fault, draw
from campaign.report import Report
from campaign.rotating import KeyRotation
from campaign.settling import Settling
from moorline import logs
from moorline.cli.pictures import table

FOLDER: Final = Path(".moorline/campaign")
WIDE: Final = 160


def main(
    seed: Annotated[int, typer.Option(help="What everything is drawn from.")] = 1,
    minutes: Annotated[float, typer.Option(help="How long things go wrong.")] = 10,
    connections: Annotated[int, typer.Option(help="How many are kept.")] = 50,
    within: Annotated[float, typer.Option(help="Seconds in which all is to settle.")] = 90,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where JSON goes.")] = None,
    folder: Annotated[Path, typer.Option(help="Where it is written down.")] = FOLDER,
    keep: Annotated[bool, typer.Option(help="Keep the servers' data, too.")] = False,
) -> None:
    """Let everything go wrong that can, and judge what is left by the provider's own log."""
    logs.set_up("CRITICAL", "console")
    logs.forward_temporal("CRITICAL")
    warnings.simplefilter("ignore")
    state = folder / f"seed-{seed}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    state.mkdir(parents=True, mode=0o700)
    typer.echo(f"Plan, what happened and logs: {state}", err=True)
    if clocks.library() is None:
        typer.echo(f"Left out: {clocks.LEFT_OUT}", err=True)
    try:
        report = asyncio.run(_campaign(seed, minutes, connections, within, state))
    except (asyncio.CancelledError, KeyboardInterrupt):
        _forget(state)
        raise typer.Exit(128 + signal.SIGINT) from None
    text = json.dumps(report.as_json(), indent=2) + "\n"
    (state / "report.json").write_text(text)
    (state / "evidence.json").write_text(json.dumps(report.evidence_as_json()))
    if json_file is not None:
        json_file.write_text(text)
    Console(width=WIDE).print(table(("CAMPAIGN", "IN THIS RUN"), list(report.rows())))
    for complaint in report.complaints():
        typer.echo(complaint)
    if report.holds and not keep:
        _forget(state)
    raise typer.Exit(0 if report.holds else 1)


async def _campaign(
    seed: int, minutes: float, connections: int, within: float, state: Path
) -> Report:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan = draw(seed, minutes * 60)
    (state / "plan.json").write_text(json.dumps([asdict(fault) for fault in plan], indent=2))
    diary = Diary(state / "happened.jsonl")
    async with running(state) as parts, connected(parts) as clients:
        people = People(clients, parts.sandbox, diary, seed, connections)
        try:
            await people.begin()
            diary.write("begun", connections=len(diary.known))
            nemesis = Nemesis(parts, diary, KeyRotation(parts, clients, diary))
            await _go_wrong(people, nemesis, plan, minutes * 60)
            diary.write("healing")
            diary.healed_at = time.time()
            await parts.heal()
            await people.finish()
        finally:
            await people.stop()
        settled = await Settling(parts, clients).settle(within)
        diary.write("settled", took_s=settled.took_s)
        await _stop_workers(parts)
        evidence = await gather(parts, diary, settled)
        return Report.of(
            seed=seed,
            minutes=minutes,
            restarts=parts.restarts,
            settled_in_s=settled.took_s,
            within_s=within,
            diary=diary,
            evidence=evidence,
        )


async def _go_wrong(people: People, nemesis: Nemesis, plan: list[Fault], seconds: float) -> None:
    over = time.monotonic() + seconds
    busy = asyncio.create_task(people.go_on())
    try:
        await nemesis.carry_out(plan)
        await asyncio.sleep(max(over - time.monotonic(), 0))
    finally:
        busy.cancel()
        with suppress(asyncio.CancelledError):
            await busy


async def _stop_workers(parts: Parts) -> None:
    """Nothing moves while the evidence is gathered."""
    for name in WORKERS:
        async with parts.holding(name):
            await parts.stack.children[name].stop()


def _forget(state: Path) -> None:
    """Keep what a run is read by: not the servers' data, nor keys."""
    for path in state.iterdir():
        if path.is_dir() and path.name != "logs":
            shutil.rmtree(path)
        elif path.suffix not in {".json", ".jsonl"} and path.is_file():
            path.unlink()


if __name__ == "__main__":
    typer.run(main)
