"""A whole life told through Temporal's own command line: plain JSON, as from any other SDK."""

import asyncio
import json
from uuid import uuid4

from domain.status import ConnectionStatus
from moorline.demo.judging import WITHIN, NotAsTold, check
from moorline.demo.people import visit
from moorline.demo.stage import Stage, queue_of, temporal_cli
from workflows.names import workflow_id

SLUG = "demo-cli"


async def live_by_cli(stage: Stage) -> str:
    """Started, authorized, read and disconnected by ``temporal workflow ...`` alone."""
    connection_id = uuid4()
    life = ["--workflow-id", workflow_id(connection_id)]
    start = {
        "connection_id": str(connection_id),
        "user_id": str(stage.user_id),
        "provider_slug": SLUG,
    }
    await _temporal(
        stage,
        ["start", "--type", "ConnectionWorkflow", "--task-queue", queue_of(SLUG)],
        [*life, "--input", json.dumps(start)],
    )
    begun = await _update(stage, life, "begin_authorization", {})
    await visit(str(begun["url"]))
    await stage.loopback.received(connection_id)
    view = await _update(stage, life, "authorize", {"attempt_id": begun["attempt_id"]})
    check(view["status"] == "active", f"it is {view['status']}")
    answer = await _temporal(stage, ["query", "--type", "view"], [*life, "--output", "json"])
    check('"active"' in answer, "the query does not show it ACTIVE")
    disconnect = json.dumps({"actor": "the plain command line"})
    await _temporal(stage, ["signal", "--name", "disconnect"], [*life, "--input", disconnect])
    over = await stage.connections.wait_for(
        connection_id, ConnectionStatus.DISCONNECTED, within=WITHIN
    )
    result = await _temporal(stage, ["result"], [*life, "--output", "json"])
    check('"shredded"' in result, "the result is not a receipt")
    return f"start, update, query, signal, result: {over.status}"


async def _update(
    stage: Stage, life: list[str], name: str, question: dict[str, object]
) -> dict[str, object]:
    answer = await _temporal(
        stage,
        ["update", "execute", "--name", name],
        [*life, "--input", json.dumps(question), "--output", "json"],
    )
    outcome = json.loads(answer)
    result = outcome.get("result")
    if not isinstance(result, dict):
        raise NotAsTold(f"the update {name} answered {answer[:200]}")
    return result


async def _temporal(stage: Stage, command: list[str], arguments: list[str]) -> str:
    development = stage.development
    process = await asyncio.create_subprocess_exec(
        temporal_cli(),
        "workflow",
        *command,
        *arguments,
        f"--address={development.stack.temporal_address}",
        f"--codec-endpoint={development.codec_endpoint}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise NotAsTold(f"temporal workflow {command[0]}: {err.decode()[:300].strip()}")
    return out.decode()
