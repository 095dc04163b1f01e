"""What a life costs, by the server's own counter: the budget is a promise."""

import re
from uuid import UUID

import httpx

from tests.world import World, until
from workflows.names import workflow_id

CYCLES = 6
DAY_S = 86_400


async def test_a_refresh_cycle_costs_two_actions_eleven_events_and_less_than_1500_bytes(
    living: World,
) -> None:
    await living.behave(access_ttl_s=4)
    view = await living.connected()
    await at_rest(living)
    actions, (events, size) = await billed(living), await history(living, view.connection_id)
    await until(lambda: reached(living, view.connection_id, CYCLES))
    # The last of them brings a token for a day: after it all is at rest again.
    await living.behave(access_ttl_s=DAY_S)
    await until(lambda: reached(living, view.connection_id, CYCLES + 1))
    await at_rest(living)
    cycles = (await living.connections.view(view.connection_id)).generation - view.generation
    assert await billed(living) - actions <= 2 * cycles
    longer, larger = await history(living, view.connection_id)
    assert longer - events <= 11 * cycles
    assert larger - size <= 1500 * cycles


async def at_rest(living: World) -> None:
    """Whatever has been begun is counted."""
    counted: list[int] = []

    async def is_counted() -> bool:
        counted.append(await billed(living))
        return counted[-10:] == 10 * counted[-1:]

    await until(is_counted)


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
