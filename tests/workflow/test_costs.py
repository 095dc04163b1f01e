"""What a life costs, by the server's own counter: the budget is a promise."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
from temporalio.api.history.v1 import HistoryEvent

from tests.world import World, until
from workflows.names import workflow_id

CYCLES = 4
CYCLE = [
    "timer_fired",
    "workflow_task_scheduled",
    "workflow_task_started",
    "workflow_task_completed",
    "activity_task_scheduled",
    "activity_task_started",
    "activity_task_completed",
    "workflow_task_scheduled",
    "workflow_task_started",
    "workflow_task_completed",
    "timer_started",
]
"""All that is recorded of a refresh that nobody asked for: one timer and one activity."""
BILLED = {"command_StartTimer", "command_ScheduleActivityTask"}
"""The billable actions of it, each once."""
AT_EASE = timedelta(seconds=1)
"""A call that takes longer finds the next one due already, or has sent a heartbeat: the machine was
busy, and that is not what is measured."""


@dataclass(frozen=True)
class Costs:
    """What a life has cost so far, read while nothing happened in it."""

    events: list[str]
    took: list[timedelta]
    """How long each call took."""
    size: int
    actions: Counter[str]

    @property
    def refreshes(self) -> int:
        return self.events.count("timer_fired")


async def test_a_refresh_cycle_costs_two_actions_eleven_events_and_less_than_1500_bytes(
    living: World,
) -> None:
    await living.behave(access_ttl_s=4)
    view = await living.connected()

    async def measured() -> tuple[Costs, Costs] | None:
        first = await costs(living, view.connection_id)
        last = await costs(living, view.connection_id, at_least=first.refreshes + CYCLES)
        took = last.took[len(first.took) :]
        return (first, last) if max(took) < AT_EASE else None

    before, after = await until(measured, timedelta(minutes=3))
    cycles = after.refreshes - before.refreshes
    assert after.events[len(before.events) :] == cycles * CYCLE
    billed = after.actions - before.actions
    # The counters lag behind the history by up to a second: by one cycle at each end.
    assert billed.keys() == BILLED
    assert all(abs(number - cycles) <= 1 for number in billed.values())
    assert 900 < (after.size - before.size) / cycles < 1500


async def test_whatever_it_is_told_meanwhile_its_timer_is_left_alone(living: World) -> None:
    view = await living.connected()
    before = timers_of(await living.history(view.connection_id))
    for number in range(5):
        await living.connections.rename(view.connection_id, f"name {number}")
    assert timers_of(await living.history(view.connection_id)) == before


def timers_of(history: Sequence[HistoryEvent]) -> int:
    return sum(event.HasField("timer_started_event_attributes") for event in history)


async def costs(living: World, connection_id: UUID, at_least: int = 2) -> Costs:
    """What it has cost once it was refreshed so often and waits for the next time."""

    async def at_rest() -> Costs | None:
        size = await size_of(living, connection_id)
        actions = await billed_so_far(living)
        history = await living.history(connection_id)
        events = [
            str(event.WhichOneof("attributes")).removesuffix("_event_attributes")
            for event in history
        ]
        read = Costs(events, durations_of(history), size, actions)
        # Nothing may have happened between the first look and the last.
        unchanged = await size_of(living, connection_id) == size
        waits = unchanged and events[-1] == "timer_started"
        return read if waits and read.refreshes >= at_least else None

    return await until(at_rest)


def durations_of(history: Sequence[HistoryEvent]) -> list[timedelta]:
    """From the start of each activity to its end."""
    at = {event.event_id: event.event_time.ToDatetime() for event in history}
    ended = [
        (event.activity_task_completed_event_attributes.started_event_id, event.event_id)
        for event in history
        if event.HasField("activity_task_completed_event_attributes")
    ]
    return [at[end] - at[start] for start, end in ended]


async def size_of(living: World, connection_id: UUID) -> int:
    """How many bytes the present run has recorded."""
    handle = living.temporal.get_workflow_handle(workflow_id(connection_id))
    described = (await handle.describe()).raw_description
    return described.workflow_execution_info.history_size_bytes


async def billed_so_far(living: World) -> Counter[str]:
    """Billable actions so far, by their kind."""
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(living.servers.metrics_url)).text
    lines = re.findall(r'^action\{(.*namespace="default".*)\} (\d+)', text, re.MULTILINE)
    assert lines, "the server does not count actions"
    counted: Counter[str] = Counter()
    for labels, number in lines:
        (kind,) = re.findall(r'action_type="(\w+)"', labels)
        counted[kind] += int(number)
    return counted
