"""How far back the histories go that Temporal keeps: so long a payload key is needed.

Histories cannot be encrypted anew. A payload key may go once every history that was begun while it
encrypted is gone: an open run keeps its own, and a closed one is kept for the namespace's
retention.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from moorline.setup import in_words_of_temporal

OURS: Final = "WorkflowType = 'ConnectionWorkflow'"
BEFORE_US: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Nothing of ours is older."""
EXACT_TO: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Kept:
    """What Temporal keeps of connections."""

    since: datetime | None
    """When the oldest run began whose history is kept; None: there is none."""
    retention: timedelta
    """How long a run is kept after it has closed."""


async def kept(client: Client) -> Kept:
    """Ask Temporal.

    Raises:
        NotConfigured: it has no such namespace, or does not let us look.
        Unreachable: it does not answer.
    """
    with in_words_of_temporal(client):
        answer = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
        retention = answer.config.workflow_execution_retention_ttl.ToTimedelta()
        return Kept(await _oldest(client), retention)


async def _oldest(client: Client) -> datetime | None:
    """When the oldest run began: runs are counted, since not every server can sort them."""
    if (await client.count_workflows(OURS)).count == 0:
        return None
    none, some = BEFORE_US, datetime.now(UTC) + EXACT_TO
    while some - none > EXACT_TO:
        middle = none + (some - none) / 2
        before = f"{OURS} AND StartTime < '{middle.isoformat()}'"
        if (await client.count_workflows(before)).count:
            some = middle
        else:
            none = middle
    return none
