"""A limit on the calls to each provider, kept by Temporal's task queue for all workers together.

Measured on server 1.32: the default limit of a task queue for *each fairness key* counts
activities without a key as one more key, so it would also slow our own transactions down to what
a provider bears. The limit of a key grows with its weight. So the default is set a thousand times
too high, which never holds a transaction up, and each provider of the catalogue is given a
thousandth as its weight: 30 calls under a limit of 5 a second then take 4.4 s, while 60
transactions beside them take 0.3 s.
"""

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue, TaskQueueConfig
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    UpdateTaskQueueConfigRequest,
)
from temporalio.client import Client

from moorline.settings import TemporalSettings
from providers.catalogue import Catalogue
from workflows.names import reading_queue

ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
FACTOR = 1000
REASON = "moorline setup"
"""By this we know our own limit again, and leave one that somebody else has set."""


async def apply(client: Client, settings: TemporalSettings) -> str:
    """Bring the task queues' limits to what the settings say; what was done, as a line."""
    lines = [
        await _apply(client, settings, queue)
        for queue in (settings.task_queue, reading_queue(settings.task_queue))
    ]
    return lines[0]


async def _apply(client: Client, settings: TemporalSettings, queue: str) -> str:
    rate = settings.calls_per_second
    config = await _described(client, queue)
    if rate is None and not _is_ours(config):
        return "calls per second: no limit (MOORLINE_CALLS_PER_SECOND is not set)"
    wanted = {} if rate is None else _wanted(settings)
    if rate is not None and _is_at(config, rate, wanted):
        return f"calls per second: {rate:g} to each of {len(wanted)} providers"
    await _update(client, queue, rate, wanted, config)
    if rate is None:
        return "calls per second: the limit is taken away"
    return f"calls per second: {rate:g} to each of {len(wanted)} providers from now on"


async def is_applied(client: Client, settings: TemporalSettings) -> bool:
    """Whether the task queue's limits are what the settings say."""
    config = await _described(client, settings.task_queue)
    if settings.calls_per_second is None:
        return not _is_ours(config)
    return _is_at(config, settings.calls_per_second, _wanted(settings))


async def _described(client: Client, queue: str) -> TaskQueueConfig:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=ACTIVITIES,
            report_config=True,
        )
    )
    return answer.config


async def _update(
    client: Client,
    queue: str,
    rate: float | None,
    wanted: dict[str, float],
    config: TaskQueueConfig,
) -> None:
    limit = None if rate is None else RateLimit(requests_per_second=rate * FACTOR)
    await client.workflow_service.update_task_queue_config(
        UpdateTaskQueueConfigRequest(
            namespace=client.namespace,
            identity=client.identity,
            task_queue=queue,
            task_queue_type=ACTIVITIES,
            update_fairness_key_rate_limit_default=UpdateTaskQueueConfigRequest.RateLimitUpdate(
                rate_limit=limit, reason=REASON
            ),
            set_fairness_weight_overrides=wanted,
            unset_fairness_weight_overrides=[
                key
                for key, weight in config.fairness_weight_overrides.items()
                if key not in wanted and _is_near(weight, 1 / FACTOR)
            ],
        )
    )


def _wanted(settings: TemporalSettings) -> dict[str, float]:
    return dict.fromkeys(Catalogue.read(settings.providers).slugs(), 1 / FACTOR)


def _is_ours(config: TaskQueueConfig) -> bool:
    default = config.fairness_keys_rate_limit_default
    return default.HasField("rate_limit") and default.metadata.reason == REASON


def _is_at(config: TaskQueueConfig, rate: float, wanted: dict[str, float]) -> bool:
    default = config.fairness_keys_rate_limit_default
    weights = config.fairness_weight_overrides
    same = default.HasField("rate_limit") and _is_near(
        default.rate_limit.requests_per_second, rate * FACTOR
    )
    known = all(key in weights and _is_near(weights[key], weight) for key, weight in wanted.items())
    return same and known


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-4 * other  # the server keeps floats of 32 bits
