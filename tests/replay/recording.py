"""Records the scenarios: ``python -m tests.replay.recording``.

To be run when the workflow has been changed in a way that old histories still replay, and a new
scenario or release is to be kept, too. The histories hold no secret: none is in any payload. What
belongs to one machine (stack traces, identities) is taken out.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from tests.replay.scenarios import READS_DATA, SCENARIOS, Scenario
from tests.world import Servers, World, data_of, new_world, servers_up
from workflows.names import workflow_id

HISTORIES: Final = Path(__file__).parent / "histories"
LEFT_OUT: Final = {"stackTrace", "identity", "workerControlTaskQueue"}


async def record_all() -> None:
    """Live every scenario, and write down each of its runs."""
    for old in HISTORIES.glob("*.json"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        async with servers_up(Path(folder)) as servers:
            for scenario in SCENARIOS:
                await record(servers, scenario, Path(folder))


async def record(servers: Servers, scenario: Scenario, folder: Path) -> None:
    """Live one scenario, in the clear."""
    entry = data_of(servers) if scenario in READS_DATA else None
    async with (
        new_world(servers, folder, entry=entry, encrypted=False) as world,
        world.working(),
    ):
        connection_id = await scenario(world)
        for number, history in enumerate(await runs_of(world, connection_id), start=1):
            file = HISTORIES / f"{scenario.__name__}-{number}.json"
            text = json.dumps(cleaned(json.loads(history)), separators=(",", ":"), sort_keys=True)
            file.write_text(text + "\n")


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


if __name__ == "__main__":
    asyncio.run(record_all())
