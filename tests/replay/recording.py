"""Records the scenarios that have no history yet: ``python -m tests.replay.recording [--all]``.

To be run when a new scenario or release is to be kept, too. What was recorded before stays: it is
what running connections have lived. ``--all`` records every scenario anew in its place. The
histories hold no secret: none is in any payload. What belongs to one machine (stack traces,
identities) is taken out.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from tests.replay.scenarios import READS_DATA, SCENARIOS, Scenario
from tests.world import Servers, World, data_of, new_world, servers_up, write_broker
from workflows.names import workflow_id

HISTORIES: Final = Path(__file__).parent / "histories"
LEFT_OUT: Final = {"stackTrace", "identity", "workerControlTaskQueue"}


async def record_missing(histories: Path = HISTORIES, *, anew: bool = False) -> list[Path]:
    """Live the scenarios that are missing, and write down each of their runs; what was written.

    Args:
        anew: all scenarios, in the place of what was recorded before.
    """
    wanted = [each for each in SCENARIOS if anew or not recorded(histories, each)]
    written: list[Path] = []
    if not wanted:
        return written
    with tempfile.TemporaryDirectory() as folder:
        async with servers_up(Path(folder)) as servers:
            for scenario in wanted:
                written += await record(servers, scenario, Path(folder), histories)
    return written


def recorded(histories: Path, scenario: Scenario) -> list[Path]:
    """What there is of a scenario."""
    return sorted(histories.glob(f"{scenario.__name__}-[0-9]*.json"))


async def record(servers: Servers, scenario: Scenario, folder: Path, histories: Path) -> list[Path]:
    """Live one scenario, in the clear; the files it is in."""
    entry = data_of(servers) if scenario in READS_DATA else None
    url = servers.sandbox.base_url
    write_broker(folder, url, verify_every_s=1, refused_again_after_s=1)
    async with (
        new_world(servers, folder, entry=entry, encrypted=False) as world,
        world.working(),
    ):
        lived = await runs_of(world, await scenario(world))
    for old in recorded(histories, scenario):
        old.unlink()
    files = []
    for number, history in enumerate(lived, start=1):
        file = histories / f"{scenario.__name__}-{number}.json"
        text = json.dumps(cleaned(json.loads(history)), separators=(",", ":"), sort_keys=True)
        file.write_text(text + "\n")
        files.append(file)
    return files


async def runs_of(world: World, connection_id: UUID) -> list[str]:
    """The history of each run of a life, the first run first."""
    name = workflow_id(connection_id)
    run_id = (await world.temporal.get_workflow_handle(name).describe()).run_id
    histories: list[str] = []
    while run_id:
        history = await world.temporal.get_workflow_handle(name, run_id=run_id).fetch_history()
        histories.insert(0, history.to_json())
        began = history.events[0].workflow_execution_started_event_attributes
        run_id = began.continued_execution_run_id
    return histories


def cleaned(value: JsonValue) -> JsonValue:
    """Without what belongs to one machine."""
    if isinstance(value, dict):
        return {key: cleaned(item) for key, item in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    return value


def main() -> None:
    """Record, and say what was recorded."""
    anew = sys.argv[1:] == ["--all"]
    if sys.argv[1:] and not anew:
        sys.exit("usage: python -m tests.replay.recording [--all]")
    with asyncio.Runner() as runner:
        written = runner.run(record_missing(anew=anew))
    for file in written:
        sys.stdout.write(f"recorded {file.relative_to(Path.cwd())}\n")
    sys.stdout.write(f"{len(written)} recorded; every scenario has its histories\n")
    # Temporal's SDK runs threads that may still call Python while it is taken apart.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
