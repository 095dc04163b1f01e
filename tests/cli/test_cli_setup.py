"""Making a namespace ready, and the processes that will only work in one that is."""

import asyncio
import time
from datetime import timedelta
from signal import SIGINT, SIGTERM
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.cli.terminal import Terminal, free_port, get
from tests.world import World


async def test_a_worker_refuses_a_namespace_until_setup_has_made_it_ready(
    world: World, terminal: Terminal, namespace: str
) -> None:
    there = {"TEMPORAL_NAMESPACE": namespace}
    refusal = await terminal.fails("worker", **there)
    assert "lacks the search attributes" in refusal
    assert "run `moorline setup`" in refusal
    first, second = [await terminal.run("setup", **there) for _ in range(2)]
    assert "registered ConnectionStatus, ProviderSlug, UserId" in first.out
    assert "all 5 are registered" in second.out
    async with terminal.running("worker", **there) as worker:
        await worker.says("worker ready")
        done = await worker.told(SIGTERM)
    assert done.code == 0
    assert "what is being done is finished first" in done.err


async def test_a_build_becomes_the_current_one_and_its_worker_takes_connections(
    world: World, terminal: Terminal, namespace: str
) -> None:
    there = {"TEMPORAL_NAMESPACE": namespace, "MOORLINE_BUILD_ID": "build-1"}
    first, second = [await terminal.run("setup", **there) for _ in range(2)]
    assert "no worker of it runs yet" in first.out
    assert "build-1 is the current one" in second.out
    async with terminal.running("worker", **there) as worker:
        await worker.says("worker ready")
        words = ("connect", world.slug, "--user", world.user_id, "--json")
        async with terminal.running(*words, **there) as command:
            await get(await world.sandbox.authorize(await command.url()))
            done = await command.ended()
        assert done.object["status"] == "active"
        doctor = await terminal.run("doctor", **there)
        assert doctor.code == 0, doctor.out
        assert "build-1 is current" in doctor.out
        other = await terminal.run("doctor", **{**there, "MOORLINE_BUILD_ID": "build-2"})
        assert "build-1 is current, but MOORLINE_BUILD_ID is build-2" in other.out
        await worker.told(SIGINT)


async def test_a_namespace_that_is_not_there_is_said(terminal: Terminal) -> None:
    there = {"TEMPORAL_NAMESPACE": "nowhere"}
    lines = await asyncio.gather(*(terminal.fails(word, **there) for word in ("setup", "worker")))
    assert set(lines) == {"Error: Temporal has no namespace 'nowhere'\n"}


async def test_a_limit_is_set_kept_and_taken_away(world: World, terminal: Terminal) -> None:
    limited = {"MOORLINE_CALLS_PER_SECOND": "5"}
    words = [await terminal.run("setup", **limited) for _ in range(2)]
    words.append(await terminal.run("setup"))
    said = [next(line for line in done.out.splitlines() if "calls" in line) for done in words]
    providers = len(world.catalogue.slugs())
    assert said == [
        f"calls per second: 5 to each of {providers} providers from now on",
        f"calls per second: 5 to each of {providers} providers",
        "calls per second: the limit is taken away",
    ]


@activity.defn
async def call() -> None:
    """Nothing."""


@workflow.defn
class Calls:
    @workflow.run
    async def run(self, key: str, count: int) -> None:
        fair = Priority(fairness_key=key) if key else Priority.default
        patience = timedelta(seconds=60)
        calls = [
            workflow.execute_activity(call, start_to_close_timeout=patience, priority=fair)
            for _ in range(count)
        ]
        await asyncio.gather(*calls)


async def test_a_limit_slows_calls_to_providers_and_nothing_else(
    world: World, terminal: Terminal
) -> None:
    await terminal.run("setup", MOORLINE_CALLS_PER_SECOND="5")

    async def took(client: Client, key: str, count: int) -> float:
        began = time.monotonic()
        await client.execute_workflow(
            Calls.run, args=[key, count], id=str(uuid4()), task_queue=world.task_queue
        )
        return time.monotonic() - began

    client = world.temporal
    runner = UnsandboxedWorkflowRunner()
    queue = world.task_queue
    async with Worker(
        client, task_queue=queue, workflows=[Calls], activities=[call], workflow_runner=runner
    ):
        ours, theirs = await asyncio.gather(took(client, "", 60), took(client, world.slug, 50))
    assert ours < theirs
    assert theirs > 6  # 50 calls at 5 a second, of which some may come at once


async def test_the_gateway_says_when_it_is_ready_and_what_keeps_it_from_listening(
    terminal: Terminal,
) -> None:
    port = free_port()
    there = {"MOORLINE_GATEWAY_PORT": str(port)}
    async with terminal.running("gateway", **there) as gateway:
        await gateway.says("gateway ready")
        for page in ("healthz?code=mlcanary", "readyz"):
            assert (await get(f"http://127.0.0.1:{port}/{page}")).json() == {"status": "ok"}
        assert f"port {port} on 127.0.0.1 is taken" in await terminal.fails("gateway", **there)
        done = await gateway.told(SIGTERM)
    assert done.code == 0


async def test_a_worker_logs_as_json_where_that_is_asked_for(terminal: Terminal) -> None:
    async with terminal.running("worker", MOORLINE_LOG_FORMAT="json") as worker:
        line = await worker.says("worker ready")
        assert line.startswith('{"event": "worker ready on task queue')
        assert (await worker.told(SIGTERM)).code == 0
