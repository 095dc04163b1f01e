"""Making a Temporal namespace ready for Moorline: what ``moorline setup`` does, again and again.

Everything here is idempotent and says in one line what it found or changed. It needs Temporal
alone: neither the database nor a key.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from client.temporal import connect
from domain.errors import NotConfigured, Unreachable
from moorline import limits
from moorline.assembly import DEPLOYMENT
from moorline.settings import TemporalSettings
from moorline.stack.search_attributes import Attributes, register, registered
from workflows.names import SEARCH_ATTRIBUTES

REGISTERED_WITHIN_S = 60
WANTED: Attributes = {
    key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES
}


async def set_up(settings: TemporalSettings, environment: Mapping[str, str]) -> list[str]:
    """Make the namespace ready; what was done, a line each.

    Raises:
        NotConfigured: Temporal refuses, or the namespace has an attribute of another kind.
        Unreachable: Temporal does not answer.
    """
    client = await connect(None, environment)
    with in_words_of_temporal(client):
        return [
            await _search_attributes(client),
            await _current_version(client, settings.build_id),
            await limits.apply(client, settings),
        ]


async def missing_attributes(client: Client) -> Attributes:
    """The search attributes that the namespace lacks.

    Raises:
        NotConfigured: it has one of another kind, or Temporal refuses to say.
        Unreachable: Temporal does not answer.
    """
    with in_words_of_temporal(client):
        known = await registered(client)
    mistaken = [name for name, kind in WANTED.items() if known.get(name, kind) != kind]
    if mistaken:
        raise NotConfigured(
            f"namespace {client.namespace!r} knows the search attribute {', '.join(mistaken)} as "
            "another type; use a namespace of its own for Moorline"
        )
    return {name: kind for name, kind in WANTED.items() if name not in known}


async def current_build(client: Client) -> str | None:
    """The build whose workers take new connections; None: unversioned."""
    request = DescribeWorkerDeploymentRequest(
        namespace=client.namespace, deployment_name=DEPLOYMENT
    )
    try:
        answer = await client.workflow_service.describe_worker_deployment(request)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    current = answer.worker_deployment_info.routing_config.current_deployment_version
    return current.build_id or None


@contextmanager
def in_words_of_temporal(client: Client) -> Iterator[None]:
    """Raise what Temporal refuses in the block below ``MoorlineError``."""
    try:
        yield
    except RPCError as error:
        where = f"namespace {client.namespace!r}"
        match error.status:
            case RPCStatusCode.NOT_FOUND:
                raise NotConfigured(f"Temporal has no {where}") from None
            case RPCStatusCode.PERMISSION_DENIED | RPCStatusCode.UNAUTHENTICATED:
                raise NotConfigured(f"Temporal does not let us look after {where}") from None
            case RPCStatusCode.UNIMPLEMENTED:
                raise NotConfigured(f"Temporal does not offer this here: {error}") from None
            case _:
                raise Unreachable(f"Temporal does not answer ({error.status.name})") from None


async def _search_attributes(client: Client) -> str:
    missing = await missing_attributes(client)
    if not missing:
        return f"search attributes: all {len(WANTED)} are registered"
    await register(client, missing)
    try:
        async with asyncio.timeout(REGISTERED_WITHIN_S):
            while await missing_attributes(client):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unreachable("Temporal has not taken up the search attributes yet") from None
    return f"search attributes: registered {', '.join(missing)}"


async def _current_version(client: Client, build_id: str | None) -> str:
    if build_id is None:
        return "worker version: none (MOORLINE_BUILD_ID is not set)"
    if await current_build(client) == build_id:
        return f"worker version: {build_id} is the current one"
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace,
        deployment_name=DEPLOYMENT,
        build_id=build_id,
        identity=client.identity,
    )
    try:
        await client.workflow_service.set_worker_deployment_current_version(request)
    except RPCError as error:
        if error.status not in {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}:
            raise
        request.allow_no_pollers = True
        await client.workflow_service.set_worker_deployment_current_version(request)
        return (
            f"worker version: {build_id} is the current one now, and no worker of it runs yet: "
            f"new connections wait until one is started with MOORLINE_BUILD_ID={build_id}"
        )
    return f"worker version: {build_id} is the current one now"
