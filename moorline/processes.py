"""Worker and gateway as processes: started, run until they are told to stop, ended in order.

What they are made of is the business of ``moorline.assembly``; here is only their life.
"""

import asyncio
import gc
import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from typing import Final
from urllib.parse import urlsplit

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import NotConfigured, Unreachable
from moorline import assembly
from moorline.assembly import Workers
from moorline.listening import listen, serving
from moorline.settings import Settings
from moorline.setup import missing_attributes

log = logging.getLogger(__name__)

READY: Final = "worker ready"
"""What ``moorline dev``, systemd units and people wait for in the log."""
SEEN_WITHIN_S: Final = 10
TWINS = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}


async def run_worker(settings: Settings) -> None:
    """Work until told to stop; what is being done then is finished first.

    Raises:
        NotConfigured: keys, schema, search attributes or Temporal's configuration are not right.
        Unreachable: the database or Temporal does not answer.
    """
    no_core_dumps()
    with stop_signals() as told:
        async with assembly.opened(settings) as parts:
            await _check_namespace(parts.temporal)
            async with assembly.worker(parts) as worker:
                keep_what_is_loaded()
                await _work(worker, parts.temporal, told)


async def run_gateway(settings: Settings) -> None:
    """Serve HTTP until told to stop.

    Raises:
        NotConfigured: keys, catalogue or schema are not right, or the port is taken.
        Unreachable: the database or Temporal does not answer.
    """
    no_core_dumps()
    with stop_signals() as told:
        async with assembly.opened(settings) as parts:
            app = assembly.gateway(parts, origins(settings.ui_origin))
            keep_what_is_loaded()
            async with serving(app, listen("127.0.0.1", settings.gateway_port)):
                log.info("gateway ready on http://127.0.0.1:%s", settings.gateway_port)
                await told


def no_core_dumps() -> None:
    """Tokens and keys are in our memory: it is not written to disk when we crash."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_what_is_loaded() -> None:
    """Garbage is not looked for in it: that took a tenth of a second, in which all stood still."""
    gc.collect()
    gc.freeze()


@contextmanager
def stop_signals() -> Iterator[asyncio.Future[Signals]]:
    """SIGINT, SIGTERM and SIGHUP end no process in the block; the future tells the first."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Signals] = loop.create_future()

    def tell(signal: Signals) -> None:
        if not told.done():
            told.set_result(signal)

    for signal in (SIGINT, SIGTERM, SIGHUP):
        loop.add_signal_handler(signal, tell, signal)
    try:
        yield told
    finally:
        for signal in (SIGINT, SIGTERM, SIGHUP):
            loop.remove_signal_handler(signal)


def origins(ui_origin: str) -> set[str]:
    """The web UI's origin as it is set, and as the other name of this machine."""
    parts = urlsplit(ui_origin)
    if parts.hostname not in TWINS:
        return {ui_origin}
    port = "" if parts.port is None else f":{parts.port}"
    return {ui_origin, f"{parts.scheme}://{TWINS[parts.hostname]}{port}"}


async def pollers(client: Client, task_queue: str) -> list[PollerInfo]:
    """Who has asked for workflow tasks of this queue within the last five minutes."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            report_pollers=True,
        )
    )
    return list(answer.pollers)


async def _check_namespace(client: Client) -> None:
    missing = await missing_attributes(client)
    if missing:
        raise NotConfigured(
            f"namespace {client.namespace!r} lacks the search attributes {', '.join(missing)}: "
            "run `moorline setup`"
        )


async def _work(worker: Workers, client: Client, told: asyncio.Future[Signals]) -> None:
    aside = [
        asyncio.create_task(_announce(client, worker.task_queue)),
        asyncio.create_task(_stop_when_told(worker, told)),
    ]
    try:
        await worker.run()
    except RuntimeError as error:
        raise Unreachable(f"the worker cannot go on: {error}") from None
    finally:
        for task in aside:
            task.cancel()


async def _announce(client: Client, task_queue: str) -> None:
    """Say that we are ready, once the server has seen us ask for work."""
    with suppress(TimeoutError, RPCError):  # where it may not be asked, we take it as said
        async with asyncio.timeout(SEEN_WITHIN_S):
            while client.identity not in {
                poller.identity for poller in await pollers(client, task_queue)
            }:
                await asyncio.sleep(0.05)
    log.info("%s on task queue %s, namespace %s", READY, task_queue, client.namespace)


async def _stop_when_told(worker: Workers, told: asyncio.Future[Signals]) -> None:
    log.info("%s: what is being done is finished first", (await told).name)
    await worker.shutdown()
