"""The whole parent dies: no child outlives it, and the next start loses nothing."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import asyncpg
import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from moorline.stack import Ports, Stack, StackFacts
from moorline.stack.identities import Identity

PARENT = """
import asyncio, json, sys
from pathlib import Path
from moorline.stack import Ports, Stack, StackFacts

WORKER = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); signal.pause()"

async def main():
    ports = Ports(**json.loads(sys.argv[2]))
    async with Stack(Path(sys.argv[1]), StackFacts.read(), ports, headless=True) as stack:
        await stack.start_python("worker", ["-c", WORKER])
        print(json.dumps([child.pid for child in stack.children.values()]), flush=True)
        await stack.wait()

asyncio.run(main())
"""

STATUS = SearchAttributeKey.for_keyword("ConnectionStatus")


@asynccontextmanager
async def parent(state: Path, ports: Ports) -> AsyncIterator[tuple[Process, list[Identity]]]:
    """A stack whose parent is another process, with the identities of its children."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(state), json.dumps(asdict(ports))),
        stdout=PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        pids: list[int] = json.loads(await process.stdout.readline())
    try:
        yield process, [Identity.of(pid, SIGTERM) for pid in pids]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def all_gone(children: list[Identity]) -> bool:
    return all([await child.gone(within=10) for child in children])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends the leftovers")
async def test_after_kill_9_of_the_parent_no_child_lives_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    ports = Ports.free()
    async with parent(tmp_path, ports) as (process, children):
        await write_a_row(tmp_path, ports)
        await start_a_workflow(ports)
        process.kill()
        assert await all_gone(children)
    async with Stack(tmp_path, StackFacts.read(), ports, headless=True) as stack:
        connection = await asyncpg.connect(stack.database_url.replace("+asyncpg", ""))
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()
        client = await Client.connect(stack.temporal_address)
        description = await client.get_workflow_handle("kept").describe()
        assert description.status is WorkflowExecutionStatus.RUNNING
        assert description.typed_search_attributes[STATUS] == "ACTIVE"


async def test_a_start_right_after_kill_9_need_not_wait(tmp_path: Path) -> None:
    ports = Ports.free()
    async with parent(tmp_path, ports) as (process, children):
        os.kill(process.pid, SIGKILL)
        await process.wait()
        async with Stack(tmp_path, StackFacts.read(), ports, headless=True) as stack:
            assert await all_gone(children)
            assert stack.versions["temporal"]


async def test_ctrl_c_reaches_the_parent_alone_which_stops_its_children_in_order(
    tmp_path: Path,
) -> None:
    async with parent(tmp_path, Ports.free()) as (process, children):
        os.killpg(process.pid, SIGINT)
        async with asyncio.timeout(20):
            await process.wait()
        assert not any(child.lives() for child in children)
    log = (tmp_path / "logs" / "postgres.log").read_text()
    assert "database system is shut down" in log
    assert "automatic recovery" not in log


async def write_a_row(state: Path, ports: Ports) -> None:
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=ports.postgres,
        user="moorline",
        database="moorline",
        password=(state / "postgres.password").read_text(),
    )
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await connection.close()


async def start_a_workflow(ports: Ports) -> None:
    client = await Client.connect(f"127.0.0.1:{ports.temporal}")
    attributes = TypedSearchAttributes([SearchAttributePair(STATUS, "ACTIVE")])
    await client.start_workflow(
        "AnyWorkflow", id="kept", task_queue="moorline", search_attributes=attributes
    )
