"""What a life costs, by the server's own counter: the budget is a promise."""

import re
from uuid import UUID

import httpx

from tests.world import World, until
from workflows.names import workflow_id

CYCLES = 6


async def test_a_refresh_cycle_costs_two_actions_twelve_events_and_less_than_1500_bytes(
    living: World,
) -> None:
    await living.behave(access_ttl_s=4)
    view = await living.connected()
    await until(lambda: reached(living, view.connection_id, 2))
    actions, (events, size) = await billed(living), await history(living, view.connection_id)
    await until(lambda: reached(living, view.connection_id, 2 + CYCLES))
    # Both ends are read in the middle of a cycle: one action and one cycle's events may be over.
    assert await billed(living) - actions <= 2 * CYCLES + 1
    longer, larger = await history(living, view.connection_id)
    assert longer - events <= 12 * (CYCLES + 1)
    assert larger - size <= 1500 * (CYCLES + 1)


async def reached(living: World, connection_id: UUID, generation: int) -> bool:
    return (await living.connections.view(connection_id)).generation >= generation


async def billed(living: World) -> int:
    """Billable actions so far."""
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(living.servers.metrics_url)).text
    counts = re.findall(r'^action\{.*namespace="default".*\} (\d+)', text, re.MULTILINE)
    assert counts, "the server does not count actions"
    return sum(int(count) for count in counts)


async def history(living: World, connection_id: UUID) -> tuple[int, int]:
    """Events and bytes of the run so far."""
    handle = living.temporal.get_workflow_handle(workflow_id(connection_id))
    info = (await handle.describe()).raw_description.workflow_execution_info
    return info.history_length, info.history_size_bytes
